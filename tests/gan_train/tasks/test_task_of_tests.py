"""A task that the packages do not know: two generators, two discriminators, three figures, and sounds."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import random
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from gan_infer.conditions.spec import LATENT, Input, Output
from gan_infer.errors import OptionError
from gan_infer.latent import seeds
from gan_train import seeding, tasks
from gan_train.config import presets, settled
from gan_train.config.options import Config, write
from gan_train.config.settled import Settled
from gan_train.data.batches import Batch, ExampleOrder
from gan_train.data.columns import Column
from gan_train.networks import ema
from gan_train.networks.deployment import Deployment
from gan_train.planning import flops
from gan_train.reports import html, views
from gan_train.runs import checkpoint, trained
from gan_train.tasks.base import Controls, Drawer, Phase, Players
from gan_train.tasks.figures import LOSS, SCORE, Figure
from gan_train.training import loop
from tests.gan_train.training.test_loop import Watcher, timeless

SAMPLES, LATENTS, BATCH = 24, 3, 4
VOICES = ("low", "high")


@dataclasses.dataclass(frozen=True)
class Recordings:
    """A data set of sounds."""

    name: str
    columns: Mapping[str, Column]
    licence: str = ""
    preparation: str = ""

    def __len__(self) -> int:
        return len(self.columns["audio"].values)

    def sha256(self) -> str:
        return "0" * 64


class Drawn:
    """What draws batches: sounds, and latents for both voices."""

    def __init__(self, values: npt.NDArray[np.float32], seed: int) -> None:
        self._values, self._seed = torch.from_numpy(values), seed
        self._order = ExampleOrder(len(values), BATCH, seed)

    def at(self, images_seen: int, rollbacks: int = 0) -> Batch:
        chance = seeding.generator(self._seed, "step", images_seen, rollbacks)
        index = torch.from_numpy(self._order.at(images_seen))
        return Batch(
            {"real": self._values[index], "latents": torch.randn(2, BATCH, LATENTS, generator=chance)}
        )


@dataclasses.dataclass(frozen=True)
class Voice:
    """Draws the sounds of seeds."""

    network: nn.Module
    classes: int = 0

    @torch.no_grad()
    def draw(self, given_seeds: Any, given: Any = None) -> npt.NDArray[np.float32]:
        drawn: Tensor = self.network(torch.from_numpy(seeds.latents(given_seeds, LATENTS, "normal")))
        return drawn.numpy()


class Sounds:
    """Two voices, each with a generator and a discriminator of its own; a step takes one batch."""

    choices: ClassVar[Mapping[str, Collection[str]]] = {}
    needs: ClassVar[Mapping[str, str]] = {"audio": "audio"}
    takes: ClassVar[Mapping[str, str]] = {}
    conditions: ClassVar[Collection[str]] = ()
    batches_per_step = 1
    figures: tuple[Figure, ...] = (
        Figure("low_loss", "low voice", LOSS, "low"),
        Figure("high_loss", "high voice", LOSS, "high"),
        Figure("score", "real sounds", SCORE, "low_judge", of_real=True),
    )
    deployed: tuple[str, ...] = ("high_average",)
    draws = "audio"
    scored = False
    critic = ""
    teaches_when_sure = False

    def __init__(self, config: Settled, columns: Mapping[str, Column]) -> None:
        self._values = columns["audio"].values
        self._seed, self._rate = config.seed, config.optimizer.learning_rate

    @classmethod
    def check(cls, config: Config) -> None:
        """Take any options."""

    def make_network(self, name: str) -> nn.Module:
        if name.endswith("judge"):
            return nn.Linear(SAMPLES, 1)
        return nn.Sequential(nn.Linear(LATENTS, SAMPLES), nn.Tanh())

    def make_players(self, device: torch.device) -> Players:
        networks = {name: self.make_network(name) for voice in VOICES for name in (voice, f"{voice}_judge")}
        average = copy.deepcopy(networks["high"]).requires_grad_(False)
        optimizers = {
            name: torch.optim.Adam(network.parameters(), self._rate) for name, network in networks.items()
        }
        return Players(networks, {"high_average": average}, optimizers, {"steps": torch.tensor(0.0)})

    def phases(self, players: Players) -> tuple[Phase, ...]:
        def teach_judges(batch: Batch, controls: Controls, costly: bool) -> Mapping[str, Tensor]:
            players.buffers["steps"] += 1
            for index, voice in enumerate(VOICES):
                judge = players.networks[f"{voice}_judge"]
                with torch.no_grad():
                    fake = players.networks[voice](batch["latents"][index])
                real = judge(batch["real"])
                loss = nn.functional.softplus(-real).mean() + nn.functional.softplus(judge(fake)).mean()
                if costly:
                    loss = loss + sum(each.square().sum() for each in judge.parameters())
                self._learn(players, f"{voice}_judge", loss, controls)
                if voice == "low":
                    score = torch.sigmoid(real).mean().detach()
            return {"score": score}

        def teach_voices(batch: Batch, controls: Controls, costly: bool) -> Mapping[str, Tensor]:
            losses = {}
            for index, voice in enumerate(VOICES):
                fake = players.networks[voice](batch["latents"][index])
                loss = nn.functional.softplus(-players.networks[f"{voice}_judge"](fake)).mean()
                self._learn(players, voice, loss, controls)
                losses[f"{voice}_loss"] = loss.detach()
            ema.update(players.averages["high_average"], players.networks["high"], controls.average_weight)
            return losses

        judges, voices = ("low_judge", "high_judge"), VOICES
        return (
            Phase("judges", judges, teach_judges, interval=3),
            Phase("voices", voices, teach_voices),
        )

    def _learn(self, players: Players, name: str, loss: Tensor, controls: Controls) -> None:
        optimizer = players.optimizers[name]
        optimizer.param_groups[0]["lr"] = controls.learning_rate
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def batches(self, device: torch.device) -> Drawn:
        return Drawn(self._values, self._seed)

    def recalibrate(self, players: Players) -> None:
        """Do nothing: there are no batch statistics."""

    def drawer(self, players: Players) -> Drawer | None:
        return Voice(players.averages["high_average"])

    def deploy(self, networks: Mapping[str, nn.Module], truncation: float = 1.0) -> Deployment:
        latent = Input("latent", LATENT, "float32", (LATENTS,), {"distribution": "normal"})
        audio = Output("audio", "audio", "float32", (SAMPLES,), {"sample_rate": 8000})
        return Deployment(networks["high_average"], (latent,), (audio,))


class Faltering(Sounds):
    """The task, with one loss that is no number, so that the run has something to tell of."""

    def phases(self, players: Players) -> tuple[Phase, ...]:
        judges, voices = super().phases(players)
        taken = 0

        def run(batch: Batch, controls: Controls, costly: bool) -> Mapping[str, Tensor]:
            nonlocal taken
            taken += 1
            figures = voices.run(batch, controls, costly)
            # After a rollback there are fewer steps left than that.
            return {**figures, "high_loss": torch.tensor(math.nan)} if taken == 40 else figures

        return judges, dataclasses.replace(voices, run=run)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tasks.TASKS, "sounds", Sounds)


@pytest.fixture(scope="module")
def recordings() -> Any:
    noise = np.random.default_rng(0).uniform(-1, 1, (10, SAMPLES)).astype(np.float32)
    return Recordings("noise", {"audio": Column("audio", "audio", noise)})


def config(**changes: Any) -> Settled:
    small = {
        **{"data.height": 8, "data.width": 8, "data.channels": 1, "network.width": 1},
        **{"machine.device": "cpu", "machine.precision": "fp32", "machine.steps": "eager"},
        **{"optimizer.batch_size": BATCH, "budget.images": 60 * BATCH, "reports": 4, "task": "sounds"},
    }
    return settled.close(presets.make("resnet", {**small, **changes}))


def train(options: Settled, data: Any, run: Path, stop_after: int | None = None) -> Watcher:
    write(options, run / checkpoint.CONFIG)
    watcher = Watcher(stop_after)
    assert loop.train(options, data, run, watcher) is (stop_after is None)
    return watcher


def test_it_is_fitted_and_its_figures_and_networks_have_their_names(recordings: Any, tmp_path: Path) -> None:
    watcher = train(config(), recordings, tmp_path)
    lines = html.read_log(tmp_path / checkpoint.LOG)
    assert [line["images_seen"] for line in lines] == [60, 120, 180, 240]
    assert all({"low_loss", "high_loss", "score"} <= line.keys() for line in lines)
    assert watcher.statuses[-1].figures.keys() == {"low_loss", "high_loss", "score"}
    saved = checkpoint.load_named(tmp_path, "last")
    assert {name.split(".")[0] for name in saved.tensors} == {
        *("low", "high", "low_judge", "high_judge", "high_average", "steps"),
        *("low_optimizer", "high_optimizer", "low_judge_optimizer", "high_judge_optimizer"),
    }
    assert saved.tensors["steps"] == 60
    assert saved.facts["data"]["pictures"] == 10
    assert json.loads((tmp_path / checkpoint.CONFIG).read_text())["task"] == "sounds"
    assert "low voice" in (tmp_path / checkpoint.REPORT).read_text()
    assert not watcher.sheets


def test_its_sounds_are_shown_where_their_kind_has_a_view(
    recordings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plot(sounds: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        return np.repeat(((sounds + 1) * 127).astype(np.uint8)[:, None, :, None], 8, axis=1)

    monkeypatch.setitem(views.VIEWS, "audio", plot)
    watcher = train(config(), recordings, tmp_path)
    assert [path.name for path in watcher.sheets] == [f"{seen:012d}.png" for seen in (60, 120, 180, 240)]
    with Image.open(watcher.sheets[-1]) as sheet:
        assert len(set(np.asarray(sheet).flatten().tolist())) > 10


@pytest.mark.parametrize("number", range(3))
def test_stopped_at_any_step_it_goes_on_bit_for_bit(recordings: Any, tmp_path: Path, number: int) -> None:
    train(config(), recordings, tmp_path / "whole")
    chance = random.Random(number)
    for _ in range(2):
        train(config(), recordings, tmp_path / "parts", stop_after=chance.randrange(1, 29))
    assert "resuming" in train(config(), recordings, tmp_path / "parts").notes[0]
    assert timeless(tmp_path / "whole") == timeless(tmp_path / "parts")


def test_a_loss_that_is_not_finite_sends_it_back(
    recordings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tasks.TASKS, "sounds", Faltering)
    ((kind, text),) = train(config(), recordings, tmp_path).events
    assert kind == "rollback"
    assert text.startswith("the high loss became nan; going back to 120 images")
    assert checkpoint.load_named(tmp_path, "last").facts["rollbacks"] == 1


def test_a_task_without_figures_is_fitted_stopped_and_resumed(
    recordings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Silent(Sounds):
        figures = ()

    monkeypatch.setitem(tasks.TASKS, "sounds", Silent)
    train(config(), recordings, tmp_path / "whole")
    train(config(), recordings, tmp_path / "parts", stop_after=7)
    train(config(), recordings, tmp_path / "parts")
    assert timeless(tmp_path / "whole") == timeless(tmp_path / "parts")


def test_what_it_deploys_is_what_its_lists_say(recordings: Any, tmp_path: Path) -> None:
    train(config(), recordings, tmp_path)
    saved = checkpoint.load_named(tmp_path, "last")
    deployment = trained.load(tmp_path, "last").deploy()
    (given,), (output,) = deployment.inputs, deployment.outputs
    assert given.shape == (LATENTS,)
    made = deployment.module(torch.zeros(5, LATENTS, dtype=getattr(torch, given.dtype)))
    assert (tuple(made.shape), str(made.dtype)) == ((5, *output.shape), f"torch.{output.dtype}")
    wanted = torch.tanh(saved.tensors["high_average.0.bias"])
    torch.testing.assert_close(made[0], wanted)


def test_its_cost_is_told_by_the_names_of_its_networks(recordings: Any) -> None:
    cost = flops.count(config(), recordings)
    assert cost.parameters == {
        **dict.fromkeys(VOICES, LATENTS * SAMPLES + SAMPLES),
        **{f"{voice}_judge": SAMPLES + 1 for voice in VOICES},
    }
    assert cost.drawing_flops == 2 * LATENTS * SAMPLES


def test_the_columns_say_which_task_it_is(recordings: Any) -> None:
    pictures = Column("image", "image", np.zeros((2, 8, 8, 1), np.uint8))
    classes = Column("class", "class", np.zeros(2, np.int64), {"class_names": ("a",)})
    assert tasks.find_suited(recordings.columns) == "sounds"
    assert tasks.find_suited({"image": pictures}) == "generate"
    assert tasks.find_suited({"image": pictures, "class": classes}) == "generate"
    with pytest.raises(OptionError, match=r"the columns class, and no task takes exactly these; name one"):
        tasks.find_suited({"class": classes})
    with pytest.raises(OptionError, match=r"task sounds needs audio \(of kind audio\); give other data"):
        tasks.make(config(), {"image": pictures})
    with pytest.raises(OptionError, match=r"task 'sound' is given, and there is none .* is sounds meant\?"):
        tasks.check_name("sound")
