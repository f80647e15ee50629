"""Losses, penalties, the running average and the steps: each against what it is by definition."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch

from gan_infer.errors import OptionError
from gan_train import seeding, tasks
from gan_train.config.presets import PRESETS, make
from gan_train.config.settled import Settled, close
from gan_train.data.batches import Batch
from gan_train.data.columns import CLASS, IMAGE, Column
from gan_train.networks import Condition, DiscriminatorOutput, ema, of_class
from gan_train.objectives import augment, penalties
from gan_train.objectives.adversarial import LOSSES
from gan_train.tasks.base import Controls, Phase, Players
from gan_train.tasks.generate import to_range

REAL, FAKE = torch.tensor([0.5, -1.0]), torch.tensor([2.0, 0.25])


def log1pexp(value: float) -> float:
    return math.log1p(math.exp(value))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def test_non_saturating_is_its_definition() -> None:
    loss = LOSSES["non_saturating"]
    d = mean([log1pexp(-r) for r in REAL.tolist()]) + mean([log1pexp(f) for f in FAKE.tolist()])
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(d, rel=1e-6)
    g = mean([log1pexp(-f) for f in FAKE.tolist()])
    assert loss.generator(REAL, FAKE).item() == pytest.approx(g, rel=1e-6)
    assert loss.score_of_real(REAL, FAKE).item() == pytest.approx(
        mean([1 / (1 + math.exp(-r)) for r in REAL.tolist()]), rel=1e-6
    )


def test_relativistic_is_its_definition_and_knows_only_differences() -> None:
    loss = LOSSES["relativistic"]
    pairs = list(zip(REAL.tolist(), FAKE.tolist(), strict=True))
    d = mean([log1pexp(f - r) for r, f in pairs])
    g = mean([log1pexp(r - f) for r, f in pairs])
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(d, rel=1e-6)
    assert loss.generator(REAL, FAKE).item() == pytest.approx(g, rel=1e-6)
    torch.testing.assert_close(loss.discriminator(REAL + 9, FAKE + 9), loss.discriminator(REAL, FAKE))
    assert loss.score_of_real(REAL, FAKE) + loss.score_of_fake(REAL, FAKE) == pytest.approx(1)


def test_the_other_losses_are_their_definitions() -> None:
    r, f = REAL.tolist(), FAKE.tolist()
    minimax, squares = LOSSES["minimax"], LOSSES["least_squares"]
    assert minimax.generator(REAL, FAKE).item() == pytest.approx(-mean([log1pexp(x) for x in f]), rel=1e-6)
    assert torch.equal(minimax.discriminator(REAL, FAKE), LOSSES["non_saturating"].discriminator(REAL, FAKE))
    d = mean([(x - 1) ** 2 for x in r]) / 2 + mean([(x + 1) ** 2 for x in f]) / 2
    assert squares.discriminator(REAL, FAKE).item() == pytest.approx(d, rel=1e-6)
    assert squares.generator(REAL, FAKE).item() == pytest.approx(mean([(x - 1) ** 2 for x in f]) / 2)
    assert squares.score_of_real(REAL, FAKE).item() == pytest.approx(mean([0.75, 0.0]))
    hinge = LOSSES["hinge"]
    d = mean([max(0.0, 1 - x) for x in r]) + mean([max(0.0, 1 + x) for x in f])
    assert hinge.discriminator(REAL, FAKE).item() == pytest.approx(d, rel=1e-6)
    assert hinge.generator(REAL, FAKE).item() == pytest.approx(-mean(f), rel=1e-6)
    wasserstein = LOSSES["wasserstein"]
    assert wasserstein.discriminator(REAL, FAKE).item() == pytest.approx(mean(f) - mean(r), rel=1e-6)
    assert wasserstein.generator(REAL, FAKE).item() == pytest.approx(-mean(f), rel=1e-6)
    assert wasserstein.score_of_real(REAL, torch.tensor([0.5, -2.0])) == 0.75


def test_the_saturating_generator_learns_little_from_a_sure_discriminator() -> None:
    slopes = {}
    for name in ("minimax", "non_saturating"):
        fake = torch.tensor([-8.0], requires_grad=True)
        LOSSES[name].generator(REAL, fake).backward()
        assert fake.grad is not None
        slopes[name] = abs(fake.grad.item())
    assert slopes["minimax"] < 1e-3
    assert slopes["non_saturating"] > 0.99


@pytest.mark.parametrize("name", LOSSES)
def test_each_player_gains_by_moving_its_own_way(name: str) -> None:
    loss = LOSSES[name]
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    loss.discriminator(real, fake).backward()
    assert real.grad is not None
    assert fake.grad is not None
    assert (real.grad <= 0).all()
    assert (fake.grad >= 0).all()
    assert real.grad.sum() < 0 < fake.grad.sum()
    fake.grad = None
    loss.generator(real.detach(), fake).backward()
    # Least squares pulls a logit beyond its target back; as a whole they are pushed up.
    assert (fake.grad < 0).all() or name == "least_squares"
    assert loss.generator(REAL, FAKE * 0) > loss.generator(REAL, FAKE * 0 + 0.1)
    assert loss.score_of_real(REAL * 0, FAKE * 0) == 0.5
    assert loss.score_of_fake(REAL * 0, FAKE * 0) == 0.5


class _Linear(torch.nn.Module):
    """A discriminator whose gradient is known: logit = weight . picture ** power."""

    def __init__(self, power: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0, 0.5]))
        self.power = power

    def forward(self, pictures: torch.Tensor, condition: Condition) -> DiscriminatorOutput:
        features = pictures.flatten(1) ** self.power
        return DiscriminatorOutput(features @ self.weight, features)


def test_the_gradient_norm_of_known_functions() -> None:
    pictures = torch.randn(5, 1, 2, 2)
    straight = _Linear(1)
    norm = penalties.squared_norm(straight, pictures, {})
    assert norm.item() == pytest.approx(1 + 4 + 9 + 0.25)
    norm.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(straight.weight.grad, 2 * straight.weight.detach())
    square = _Linear(2)
    expected = (2 * pictures.flatten(1) * square.weight).square().sum(1).mean()
    torch.testing.assert_close(penalties.squared_norm(square, pictures, {}), expected)
    other, mix = torch.randn(5, 1, 2, 2), torch.tensor([0.0, 1.0, 0.25, 0.5, 0.9])
    places = other + (pictures - other) * mix[:, None, None, None]
    norms = (2 * places.flatten(1) * square.weight).square().sum(1).sqrt()
    torch.testing.assert_close(
        penalties.distance_from_one(square, pictures, other, mix, {}), (norms - 1).square().mean()
    )
    assert pictures.requires_grad is False


def test_the_average_forgets_half_in_a_half_life() -> None:
    assert ema.decay(100, 10**9, half_life=100, ramp=1.0) == pytest.approx(0.5)
    assert ema.decay(50, 10**9, half_life=100, ramp=1.0) == pytest.approx(0.5**0.5)
    assert ema.decay(100, 2000, half_life=1e9, ramp=0.05) == pytest.approx(0.5)
    assert ema.decay(64, 64, half_life=0.0, ramp=0.0) == 0.0
    average, current = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    before = copy.deepcopy(average)
    ema.update(average, current, 0.75)
    torch.testing.assert_close(average.weight, 0.75 * before.weight + 0.25 * current.weight)


def test_recalibration_gives_the_statistics_of_the_given_batches() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2)).eval()
    batches = torch.randn(8, 16, 1, 3, 3) * 3 + 1
    ema.recalibrate(network, lambda index: network(batches[index]), batches=8)
    inside = network[0](batches.flatten(0, 1))
    norm = network[1]
    assert isinstance(norm, torch.nn.BatchNorm2d)
    torch.testing.assert_close(norm.running_mean, inside.mean((0, 2, 3)), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(norm.running_var, inside.var((0, 2, 3)), atol=0.5, rtol=0.05)
    assert norm.momentum == 0.1
    assert not network.training


def test_derived_seeds_differ_by_place_and_stay() -> None:
    places = [(0,), (1,), (0, "order"), (0, "order", 1), (0, "latents", 1), (0, 1)]
    seeds = {seeding.derive(*place) for place in places}  # type: ignore[arg-type]
    assert len(seeds) == len(places)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert seeding.derive(5, "weights") == 1052819590312456978


def make_task(changes: Mapping[str, object]) -> tuple[tasks.Task, Settled]:
    small = {
        **{"data.height": 16, "data.width": 16, "data.channels": 1},
        **{"network.width": 2, "network.latent_dim": 4, "optimizer.batch_size": 8, "budget.images": 100},
        **{"machine.device": "cpu", "machine.precision": "fp32", "machine.steps": "eager"},
    }
    config = close(make("resnet", {**small, **changes}))
    columns = {
        IMAGE: Column(IMAGE, IMAGE, np.zeros((8, 16, 16, 1), np.uint8)),
        CLASS: Column(CLASS, CLASS, np.arange(8) % 2, {"class_names": ("a", "b")}),
    }
    return tasks.make(config, columns), config


def _players_and_batch(**changes: object) -> tuple[Players, Batch, Sequence[Phase]]:
    task, _ = make_task(changes)
    torch.manual_seed(0)
    players = task.make_players(torch.device("cpu"))
    tensors = {
        "real": torch.randint(0, 256, (8, 1, 16, 16), dtype=torch.uint8),
        "latents": torch.randn(2, 8, 4),
        "draws": torch.rand(3, 8, augment.DRAWS),
        "mix": torch.rand(8),
    }
    conditions = {"real": of_class(torch.arange(8) % 2), "mismatch": of_class((torch.arange(8) + 1) % 2)}
    return players, Batch(tensors, conditions), task.phases(players)


def step(phases: Sequence[Phase], batch: Batch, rate: float = 1e-2) -> dict[str, torch.Tensor]:
    """Run every phase of a step on one batch, penalties included."""
    outcome: dict[str, torch.Tensor] = {}
    for phase in phases:
        outcome.update(phase.run(batch, Controls(rate, 0.5, 0.002), True))
    return outcome


@pytest.mark.parametrize(
    ("place", "value"), [("network.family", "stylegan"), ("loss.name", "wgan"), ("augment.policy", "blur")]
)
def test_a_name_that_no_table_has_is_refused_with_the_names_there_are(place: str, value: str) -> None:
    with pytest.raises(OptionError, match=f"{place}.*expected (one|some) of .*, "):
        tasks.check_options(make("resnet", {place: value}))


def test_options_that_contradict_each_other_are_refused() -> None:
    for penalty in ("r1_gamma", "r2_gamma", "gradient_penalty"):
        with pytest.raises(OptionError, match="batch normalisation"):
            tasks.check_options(make("dcgan", {f"loss.{penalty}": 1.0}))
    with pytest.raises(OptionError, match=r"needs a generator with batch norm.*not resnet"):
        tasks.check_options(make("resnet", {"condition.generator": "batch_norm"}))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_suits_its_task(preset: str) -> None:
    tasks.check_options(make(preset, {}))


VARIANTS: list[dict[str, object]] = [
    *({"loss.name": name, "loss.r2_gamma": 1.0} for name in LOSSES),
    {"loss.name": "wasserstein", "loss.gradient_penalty": 10.0, "optimizer.discriminator_steps": 3},
    {"condition.generator": "one_hot", "condition.discriminator": "concatenation"},
    {"condition.discriminator": "auxiliary"},
    {"condition.mismatch_weight": 0.5},
    {"condition.generator": "none", "condition.discriminator": "none"},
    {"augment.policy": "colour,translation,cutout", "augment.target": 0.6},
    {"network.spectral_norm": True},
    {"network.family": "mlp"},
    {"network.family": "sngan", "condition.generator": "batch_norm", "network.spectral_norm": True},
    {"network.family": "r3"},
    {"network.family": "dcgan", "loss.r1_gamma": 0.0, "condition.generator": "batch_norm"},
]


@pytest.mark.parametrize("changes", VARIANTS, ids=lambda changes: ",".join(map(str, changes.values())))
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_one_step_moves_both_players_and_the_average(changes: dict[str, object], precision: str) -> None:
    players, batch, phases = _players_and_batch(**{"machine.precision": precision, **changes})
    before = copy.deepcopy(players)
    for _ in range(2):  # the layers that begin at 0 let others learn from the second step on
        outcome = step(phases, batch)
    for network in ("generator", "discriminator", "average"):
        old, new = ({**each.networks, **each.averages}[network] for each in (before, players))
        pairs = list(zip(old.parameters(), new.parameters(), strict=True))
        assert sum(not torch.equal(a, b) for a, b in pairs) > len(pairs) / 2
        assert all(b.dtype == torch.float32 for _, b in pairs)
    for value in outcome.values():
        assert torch.isfinite(value)
    assert all(parameter.requires_grad for parameter in players.networks["discriminator"].parameters())


def test_the_penalty_pulls_the_discriminators_gradient_down() -> None:
    norms = {}
    for gamma in (0.0, 100.0):
        players, batch, phases = _players_and_batch(**{"loss.r1_gamma": gamma, "loss.penalty_interval": 1})
        for _ in range(30):
            step(phases, batch, 3e-3)
        real = batch["real"].float() / 127.5 - 1
        norms[gamma] = penalties.squared_norm(
            players.networks["discriminator"], real, batch.conditions["real"]
        ).item()
    assert norms[100.0] < 0.2 * norms[0.0]


def test_the_gradient_penalty_holds_the_gradients_norm_near_one() -> None:
    norms = {}
    for weight in (0.0, 10.0):
        players, batch, phases = _players_and_batch(
            **{
                "loss.name": "wasserstein",
                "loss.r1_gamma": 0.0,
                "loss.gradient_penalty": weight,
                "loss.penalty_interval": 1,
            }
        )
        real = batch["real"].float() / 127.5 - 1
        for _ in range(100):
            step(phases, batch, 3e-3)
        norms[weight] = (
            penalties.squared_norm(players.networks["discriminator"], real, batch.conditions["real"])
            .sqrt()
            .item()
        )
    assert 0.3 < norms[10.0] < 3.0
    assert norms[0.0] > 30.0


def test_spectral_norm_bounds_every_weight_of_the_discriminator() -> None:
    players, batch, phases = _players_and_batch(**{"network.spectral_norm": True})
    for _ in range(20):
        step(phases, batch)
    weights = [
        module.weight
        for module in players.networks["discriminator"].modules()
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear, torch.nn.Embedding))
    ]
    assert len(weights) > 4
    for weight in weights:
        assert torch.linalg.matrix_norm(weight.flatten(1), 2).item() == pytest.approx(1.0, abs=0.1)


def test_the_auxiliary_classifier_learns_and_the_generator_hears_of_it() -> None:
    players, batch, phases = _players_and_batch(**{"condition.discriminator": "auxiliary"})
    real = batch["real"].clone()
    real[batch.conditions["real"][CLASS] == 0] //= 4  # classes that can be told apart
    batch = Batch({**batch.tensors, "real": real}, batch.conditions)
    for _ in range(60):
        step(phases, batch, 3e-3)
    verdict = players.networks["discriminator"](to_range(real), batch.conditions["real"])
    assert verdict.classes is not None
    assert torch.equal(verdict.classes.argmax(1), batch.conditions["real"][CLASS])
    deaf, _, unheard = _players_and_batch(
        **{"condition.discriminator": "auxiliary", "condition.auxiliary_weight": 0.0}
    )
    hearing, _, heard = _players_and_batch(**{"condition.discriminator": "auxiliary"})
    step(unheard, batch)
    step(heard, batch)
    weights = [each.networks["generator"].get_parameter("linear.weight") for each in (deaf, hearing)]
    assert not torch.equal(*weights)


def test_real_pictures_under_another_label_come_to_be_doubted() -> None:
    doubts = {}
    for weight in (0.0, 1.0):
        players, batch, phases = _players_and_batch(**{"condition.mismatch_weight": weight})
        real = batch["real"].clone()
        real[batch.conditions["real"][CLASS] == 0] //= 4  # classes that can be told apart
        batch = Batch({**batch.tensors, "real": real}, batch.conditions)
        for _ in range(60):
            step(phases, batch, 3e-3)
        verdicts = [players.networks["discriminator"](to_range(real), of) for of in batch.conditions.values()]
        doubts[weight] = (verdicts[0].logits - verdicts[1].logits).mean().item()
    assert doubts[1.0] > doubts[0.0] + 1.0


def test_the_strength_rises_while_the_discriminator_knows_the_real_pictures_by_heart() -> None:
    changes = {"augment.policy": "cutout", "augment.target": 0.6, "augment.strength": 0.0}
    players, batch, phases = _players_and_batch(**changes, **{"loss.r1_gamma": 0.0})
    for _ in range(60):
        outcome = step(phases, batch, 3e-3)
    assert outcome["augment_strength"] == players.buffers["augment.strength"]
    assert players.buffers["augment.strength"] > 0.2
