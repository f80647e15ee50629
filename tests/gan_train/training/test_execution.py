"""Graphed steps without a GPU: a stand-in for CUDA's graphs that remembers calls by their tensors.

Like a graph it knows addresses alone: what Python computes while it records is baked in, and what
would make the host wait for the device is refused.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gan_train import tasks
from gan_train.config import presets, settled
from gan_train.config.settled import Settled
from gan_train.data.batches import Batch
from gan_train.data.columns import CLASS, IMAGE, Column
from gan_train.networks import of_class
from gan_train.objectives import augment
from gan_train.tasks import state
from gan_train.tasks.base import Controls, Phase, Players
from gan_train.training import execution

SIZE, CLASSES, BATCH = 16, 3, 8
# Each asks something of its own: penalties, batch statistics, spectral norms, an agreed strength, pairs.
CASES: dict[str, dict[str, Any]] = {
    "resnet": {},
    "few": {},
    "relativistic": {},
    "dcgan": {},
    "sngan": {},
    "wgan-gp": {"loss.penalty_interval": 2},
    # One-hot looks at the largest label, on a CPU alone.
    "acgan": {"condition.generator": "embedding"},
    "r3": {"network.width": 16},
}
REFUSED = ("_local_scalar_dense", "nonzero")


class Tape(TorchDispatchMode):
    """Remembers every call of an operator, and makes them again into the tensors of the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func.overloadpacket.__name__ not in REFUSED, f"{func} cannot be recorded"
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, result))
        return result

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, result in self.calls:
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


class Stream:
    def wait_stream(self, other: object) -> None:
        """Wait for nothing: here all is in order."""


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the stand-in in the place of CUDA's."""

    @contextlib.contextmanager
    def graph(tape: Tape) -> Iterator[None]:
        with tape:
            yield

    for name, value in {
        "Stream": Stream,
        "current_stream": Stream,
        "stream": lambda stream: contextlib.nullcontext(),
        "CUDAGraph": Tape,
        "graph": graph,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    adam = sys.modules[torch.optim.Adam.__module__]
    monkeypatch.setattr(adam, "_get_capturable_supported_devices", lambda *_, **__: ["cpu"])


def make(preset: str, steps: str) -> tuple[Settled, Players, tuple[Phase, ...]]:
    small = {
        **{"data.height": SIZE, "data.width": SIZE, "data.channels": 1},
        "network.width": 4,
        "network.latent_dim": 8,
        "optimizer.batch_size": BATCH,
        "machine.precision": "fp32",
        "machine.device": "cpu",
        "machine.steps": steps,
    }
    options = settled.close(presets.make(preset, {**small, "budget.images": 1000, **CASES[preset]}))
    columns = {
        IMAGE: Column(IMAGE, IMAGE, np.zeros((1, SIZE, SIZE, 1), np.uint8)),
        CLASS: Column(CLASS, CLASS, np.zeros(1, np.int64), {"class_names": ("a", "b", "c")}),
    }
    task = tasks.make(options, columns)
    torch.manual_seed(0)
    players = task.make_players(torch.device("cpu"))
    for optimizer in players.optimizers.values():
        optimizer.param_groups[0]["foreach"] = True  # as it is on CUDA
    return options, players, execution.prepare(players, task.phases(players), steps)


def batch(options: Settled, number: int) -> Batch:
    chance = torch.Generator().manual_seed(number)
    label = torch.randint(CLASSES, (BATCH,), generator=chance)
    tensors = {
        "real": torch.randint(256, (BATCH, 1, SIZE, SIZE), generator=chance, dtype=torch.uint8),
        "latents": torch.randn(2, BATCH, options.network.latent_dim, generator=chance),
        "draws": torch.rand(3, BATCH, augment.DRAWS, generator=chance),
        "mix": torch.rand(BATCH, generator=chance),
    }
    return Batch(tensors, {"real": of_class(label), "mismatch": of_class((label + 1) % CLASSES)})


def step(
    phases: tuple[Phase, ...], batches: list[Batch], controls: Controls, costly: bool
) -> dict[str, torch.Tensor]:
    outcome: dict[str, torch.Tensor] = {}
    for phase in phases:
        outcome.update(phase.run(batches[phase.batch], controls, costly))
    return outcome


@pytest.mark.parametrize("preset", CASES)
def test_graphed_steps_are_the_steps_as_they_stand(preset: str, graphs: None) -> None:
    options, plain, eager = make(preset, "eager")
    _, recorded, graphed = make(preset, "graphed")
    turns = options.optimizer.discriminator_steps
    for number in range(5):
        drawn = [batch(options, 10 * number + turn) for turn in range(turns)]
        # All that changes does change: rate, average, strength, and both patterns of penalties twice.
        controls = Controls(1e-3 / (number + 1), 0.5 + number / 20, 0.02 * number)
        wanted, got = (step(phases, drawn, controls, number % 2 == 0) for phases in (eager, graphed))
        assert wanted.keys() == got.keys()
        for name, value in wanted.items():
            assert torch.allclose(value, got[name], atol=2e-3, rtol=2e-3), (number, name)
    ends = [kinds(players) for players in (plain, recorded)]
    assert ends[0].keys() == ends[1].keys()
    for name, whole in ends[0].items():
        assert (whole - ends[1][name]).norm() <= 5e-3 * whole.norm() + 1e-4, name


def kinds(players: Players) -> dict[str, torch.Tensor]:
    """Return the tensors of a kind (a network's, an optimiser's steps or one of its moments) end to end.

    As a whole: a bias before batch normalisation has a gradient of rounding alone, of which Adam makes
    a step of full length.
    """
    found: dict[str, list[torch.Tensor]] = {}
    for name, tensor in state.tensors(players).items():
        first, last = name.split(".")[0], name.split(".")[-1]
        kind = f"{first}.{last}" if first.endswith("optimizer") else first
        found.setdefault(kind, []).append(tensor.double().flatten())
    return {kind: torch.cat(tensors) for kind, tensors in found.items()}
