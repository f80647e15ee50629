"""Carries out the phases of a step: as they are, compiled, or replayed from CUDA graphs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from gan_train.data.batches import Batch
from gan_train.tasks import state
from gan_train.tasks.base import Controls, Phase, Players, Run

_CONTROLS = tuple(field.name for field in dataclasses.fields(Controls))


def prepare(players: Players, phases: Sequence[Phase], steps: str) -> tuple[Phase, ...]:
    """Return the phases, made ready to be carried out as `steps` says.

    Args:
        steps: "eager", "compiled" or "graphed", see `options.MachineOptions`.
    """
    if steps == "compiled":
        # Only calls are compiled; penalties go through `forward`, see `penalties`.
        for network in players.networks.values():
            network.compile()
    if steps == "graphed":
        return tuple(dataclasses.replace(phase, run=_Graphed(players, phase.run)) for phase in phases)
    return tuple(phases)


class _Graphed:
    """Records a phase once with its costly part and once without, then replays it on new data.

    A small network's step is some hundred short kernels: the time to launch them one by one is what a
    graph saves. Everything that changes is copied into tensors whose addresses the graph knows.
    """

    def __init__(self, players: Players, run: Run) -> None:
        self._players, self._run = players, run
        self._graphs: dict[bool, tuple[torch.cuda.CUDAGraph, Mapping[str, Tensor]]] = {}
        self._given: tuple[Batch, Controls] | None = None

    def __call__(self, batch: Batch, controls: Controls, costly: bool) -> Mapping[str, Tensor]:
        """Run the phase, see `base.Run`."""
        own = self._take_in(batch, controls)
        if costly not in self._graphs:
            self._graphs[costly] = self._record(lambda: self._run(*own, costly))
        graph, figures = self._graphs[costly]
        graph.replay()
        return {name: value.clone() for name, value in figures.items()}

    def _take_in(self, batch: Batch, controls: Controls) -> tuple[Batch, Controls]:
        """Copy a batch and its controls into the tensors that the graphs know."""
        device = next(batch.leaves()).device
        given = {
            name: torch.as_tensor(getattr(controls, name), dtype=torch.float32).to(device)
            for name in _CONTROLS
        }
        if self._given is None:
            self._given = batch.map(Tensor.clone), Controls(**given)
            return self._given
        own, held = self._given
        for name, value in given.items():
            getattr(held, name).copy_(value)
        for mine, theirs in zip(own.leaves(), batch.leaves(), strict=True):
            mine.copy_(theirs)
        return self._given

    def _record(
        self, run: Callable[[], Mapping[str, Tensor]]
    ) -> tuple[torch.cuda.CUDAGraph, Mapping[str, Tensor]]:
        # Recording needs warm-up runs, on a stream of their own; what they change is put back.
        before = {name: tensor.clone() for name, tensor in state.tensors(self._players).items()}
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                run()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            figures = run()
        state.put_back(self._players, before)
        return graph, figures
