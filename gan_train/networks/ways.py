"""Way and WaysIn: how a kind of condition enters networks in training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from gan_infer.conditions.spec import Input

# What a batch is made or scored under: tensors [batch, ...] by their names; {} where there is nothing.
Condition = Mapping[str, Tensor]


@dataclasses.dataclass(frozen=True)
class Given:
    """One condition that a network takes.

    Attributes:
        name: of its tensor in a condition.
        kind: see `conditioning.KINDS`.
        facts: what its kind needs to know.
    """

    name: str
    kind: str
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def of_input(cls, given: Input) -> Given:
        """Return the condition that is given by an input."""
        return cls(given.name, given.kind, given.facts)


class Way:
    """One way into a network: modules that learn, and what they compute from a condition.

    Attributes:
        modules: by the names of their tensors in a checkpoint, below the name of the network's part.
        size: the number of features or channels that it adds.
    """

    def __init__(self, modules: dict[str, nn.Module], size: int = 0) -> None:
        self.modules, self.size = modules, size

    def __call__(self, condition: Condition, *more: Tensor) -> Any:
        """Return what enters; see `WaysIn`."""
        raise NotImplementedError


def _no_way(*_: Any) -> Way | None:
    return None


@dataclasses.dataclass(frozen=True)
class WaysIn:
    """The ways in of one kind of condition: each makes a Way, or None where it does not enter there.

    Attributes:
        latent: (Given, latent_dim, length) -> a way that gives [batch, size], joined to the latent.
        norm: (Given, channels) -> a way that gives scale and shift, each [batch, channels].
        picture: (Given, (height, width)) -> a way that gives planes [batch, size, height, width].
        score: (Given, features) -> a way that also takes the features [batch, features], and gives what
            is added to the logits, [batch].
    """

    latent: Callable[[Given, int, float], Way | None] = _no_way
    norm: Callable[[Given, int], Way | None] = _no_way
    picture: Callable[[Given, tuple[int, int]], Way | None] = _no_way
    score: Callable[[Given, int], Way | None] = _no_way
