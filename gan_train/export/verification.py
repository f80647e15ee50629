"""Compares an exported graph with its PyTorch network, for any inputs and outputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from gan_infer.conditions import classes_of_seeds
from gan_infer.conditions.spec import CLASS, LATENT, Free, Input, Output
from gan_infer.errors import ModelError
from gan_infer.latent import seeds
from gan_train.export.graph import example_side
from gan_train.networks.deployment import Deployment
from gan_train.networks.pixels import SCORE

Array = npt.NDArray[Any]
Feed = dict[str, Array]
# The run of an open session: names of outputs, inputs by name.
Run = Callable[[Sequence[str], Feed], Any]

VERIFIED_BATCHES: Final = (1, 2, 7, 64)
# How far, in pixel values of 256, a file may be off PyTorch's float32.
# In float16, 1 was measured on four networks with random weights and 2 on 1,000 pictures of `fashion`.
MOST_LEVELS: Final = {"float32": 1, "float16": 4}
# The smallest step of sounds of 16 bits, as a share of full scale.
SOUND_STEP: Final = 1 / 32768
_OPTIONAL_ROWS: Final = 7


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """How far values of an output may be off.

    Attributes:
        most: the largest difference from PyTorch.
        unit: the unit of differences, in words.
        across: the largest difference between batch sizes.
        rule: the rule that a difference across batches breaks, in words.
    """

    most: float
    unit: str
    across: float
    rule: str


@dataclasses.dataclass
class Difference:
    """How far an output is from PyTorch.

    Attributes:
        largest: of all differences, in pixel values of 256 for uint8.
        differing, total: the number of values that differ at all, and of all values.
    """

    largest: float = 0.0
    differing: int = 0
    total: int = 0

    @property
    def share(self) -> float:
        """The share of values that differ at all."""
        return self.differing / max(1, self.total)

    def add(self, gap: Array) -> None:
        """Add the absolute differences of one batch."""
        self.largest = max(self.largest, float(gap.max(initial=0)))
        self.differing += int((gap > 0).sum())
        self.total += gap.size


def verify(
    deployed: Deployment,
    run: Run,
    *,
    feeds: Iterable[Feed] | None = None,
    batches: Sequence[int] = VERIFIED_BATCHES,
    precision: str = "float32",
) -> dict[str, Difference]:
    """Compare the outputs of a graph with those of its network, at several batch sizes.

    Args:
        feeds: arrays of as many rows as the largest batch, by name of input; by default conditions of
            seeds, with free sides of two sizes and with optional inputs fed or not.
        precision: of the graph's arithmetic, "float32" or "float16".

    Returns:
        the differences by the name of the output.

    Raises:
        ModelError: one is larger than it may be, or a value depends on its batch.
    """
    found = {output.name: Difference() for output in deployed.outputs}
    for feed in example_feeds(deployed.inputs, max(batches)) if feeds is None else feeds:
        _verify_feed(deployed, run, feed, batches, precision, found)
    return found


def example_feeds(inputs: Sequence[Input], count: int) -> list[Feed]:
    """Return feeds to compare on: conditions of the seeds from 0 up, always the same for one seed."""
    places = (min, max) if any(isinstance(side, Free) for each in inputs for side in each.shape) else (min,)
    needed = [each for each in inputs if not each.optional]
    feeds = [{each.name: _example(each, count, place) for each in needed} for place in places]
    if len(needed) < len(inputs):
        feeds.append({each.name: _example(each, _OPTIONAL_ROWS, min) for each in inputs})
    return feeds


def tolerance(output: Output, precision: str) -> Tolerance:
    """Return how far an output may be off at a precision."""
    if output.dtype == "uint8":
        return Tolerance(MOST_LEVELS[precision], "levels of 256", 0, "a seed must name one picture")
    if output.kind == SCORE:
        return Tolerance(1e-3, f"in {output.name}", 1e-6, "a score must not depend on its batch")
    rule = "round it to steps of 1/32768, since a seed must name one result"
    return Tolerance(SOUND_STEP, "of full scale", 0, rule)


def _example(spec: Input, count: int, place: Callable[[int, int], int]) -> Array:
    """Return an array for an input, a row per seed; free sides have the smaller or the larger size."""
    numbers = range(count)
    if spec.kind == LATENT:
        (dim,) = spec.shape
        return seeds.latents(numbers, int(str(dim)), spec.facts.get("distribution", "normal"))
    if spec.kind == CLASS and not spec.shape:
        return classes_of_seeds(np.arange(count), len(spec.facts["class_names"]))
    sides = [side if isinstance(side, int) else place(side.low, example_side(side)) for side in spec.shape]
    rows = np.stack([np.random.default_rng(seed).random(sides) for seed in numbers])
    if spec.kind == CLASS:  # weights of classes
        rows /= rows.sum(axis=1, keepdims=True)
    scale = 256 if np.dtype(spec.dtype).kind in "iu" else 1
    return (rows * scale).astype(spec.dtype)


@torch.no_grad()
def _expect(deployed: Deployment, feed: Feed) -> list[Array]:
    """Return the network's outputs; optional inputs that are not fed are zeros, as in the file."""
    rows = len(next(iter(feed.values())))
    tensors = []
    for spec in deployed.inputs:
        sides = (rows, *map(example_side, spec.shape))
        array = feed[spec.name] if spec.name in feed else np.zeros(sides, spec.dtype)
        tensors.append(torch.from_numpy(np.ascontiguousarray(array)))
    given = deployed.module(*tensors)
    return [each.numpy() for each in (given if isinstance(given, (tuple, list)) else (given,))]


def _verify_feed(
    deployed: Deployment,
    run: Run,
    feed: Feed,
    batches: Sequence[int],
    precision: str,
    found: dict[str, Difference],
) -> None:
    names = [output.name for output in deployed.outputs]
    rows = len(next(iter(feed.values())))
    first: list[Array] = []
    for count in sorted({min(batch, rows) for batch in batches}, reverse=True):
        part = {name: array[:count] for name, array in feed.items()}
        expected, got = _expect(deployed, part), run(names, part)
        first = first or got
        for output, right, value, large in zip(deployed.outputs, expected, got, first, strict=True):
            allowed = tolerance(output, precision)
            gap = _apart(value, right)
            found[output.name].add(gap)
            _check_gap(gap, allowed, count, precision)
            _check_batch(_apart(value, large[:count]), allowed, output, count, len(large))


def _apart(left: Array, right: Array) -> Array:
    wide = np.int64 if left.dtype.kind in "iu" else np.float64
    gap: Array = np.abs(left.astype(wide) - right.astype(wide))
    return gap


def _check_gap(gap: Array, allowed: Tolerance, count: int, precision: str) -> None:
    largest = float(gap.max(initial=0))
    if not largest <= allowed.most:  # nor a gap that is no number
        raise ModelError(
            f"the exported graph is up to {largest:.3g} {allowed.unit} off PyTorch at batch {count}; "
            f"at most {allowed.most:.3g} may be at {precision}, so nothing was written"
        )


def _check_batch(gap: Array, allowed: Tolerance, output: Output, count: int, other: int) -> None:
    if gap.max(initial=0) > allowed.across:
        raise ModelError(
            f"the exported graph gives another {output.name} at batch {count} than at {other}; "
            f"{allowed.rule}, so nothing was written"
        )
