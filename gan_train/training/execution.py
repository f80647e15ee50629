"""How a step is carried out: as it stands, compiled, or replayed from a CUDA graph."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gan_train.config.settled import Settled
from gan_train.networks import Condition
from gan_train.tasks import state
from gan_train.tasks.generate import Batch, Controls, Outcome, Players, step

Stepper = Callable[[Sequence[Batch], Controls], Outcome]


def make(players: Players, config: Settled) -> Stepper:
    """Return the function that takes a step of these players as `config.machine.steps` has it."""
    if config.machine.steps == "compiled":
        # Compiled calls alone; penalties go through `forward`, see `penalties`.
        players.generator.compile()
        players.discriminator.compile()
    if config.machine.steps == "graphed":
        return _Graphed(players, config)
    return functools.partial(step, players, config)


class _Graphed:
    """Records a step once for each pattern of penalties, then replays it on new data.

    A small network's step is some hundred short kernels: the time to launch them one by one is what a
    graph saves. Everything that changes is copied into tensors whose addresses the graph knows.
    """

    def __init__(self, players: Players, config: Settled) -> None:
        self._players, self._config = players, config
        self._graphs: dict[tuple[bool, ...], tuple[torch.cuda.CUDAGraph, Outcome]] = {}
        self._batches: list[Batch] = []
        self._controls: Controls | None = None

    def __call__(self, batches: Sequence[Batch], controls: Controls) -> Outcome:
        self._take_in(batches, controls)
        if controls.penalise not in self._graphs:
            self._graphs[controls.penalise] = self._recorded()
        graph, outcome = self._graphs[controls.penalise]
        graph.replay()
        return dataclasses.replace(outcome, **{name: value.clone() for name, value in vars(outcome).items()})

    def _take_in(self, batches: Sequence[Batch], controls: Controls) -> None:
        device = batches[0].real.device
        given = {
            name: torch.as_tensor(getattr(controls, name), dtype=torch.float32).to(device)
            for name in ("learning_rate", "average_weight", "strength_step")
        }
        if self._controls is None:
            self._batches = [_copied(batch) for batch in batches]
            self._controls = Controls(**given, penalise=controls.penalise)
            return
        for name, value in given.items():
            getattr(self._controls, name).copy_(value)
        self._controls = dataclasses.replace(self._controls, penalise=controls.penalise)
        for own, batch in zip(self._batches, batches, strict=True):
            for mine, theirs in zip(_tensors(own), _tensors(batch), strict=True):
                mine.copy_(theirs)

    def _recorded(self) -> tuple[torch.cuda.CUDAGraph, Outcome]:
        assert self._controls is not None
        # Recording wants warm-up steps, on a stream of their own; what they change is put back.
        before = {name: tensor.clone() for name, tensor in state.tensors(self._players).items()}
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step(self._players, self._config, self._batches, self._controls)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outcome = step(self._players, self._config, self._batches, self._controls)
        state.put_back(self._players, before)
        return graph, outcome


def _tensors(batch: Batch) -> list[Tensor]:
    labels = [batch.condition.label, batch.mismatch.label]
    return [
        batch.real,
        batch.latents,
        batch.draws,
        batch.mix,
        *(label for label in labels if label is not None),
    ]


def _copied(batch: Batch) -> Batch:
    values: dict[str, Any] = {
        name: getattr(batch, name).clone() for name in ("real", "latents", "draws", "mix")
    }
    for name in ("condition", "mismatch"):
        label = getattr(batch, name).label
        values[name] = Condition(None if label is None else label.clone())
    return Batch(**values)
