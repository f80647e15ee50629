"""Finds named directions of the latent space by regression or from examples.

A generator draws pictures, an attribute is measured on each, and the attribute is regressed on the
latents by least squares. The coefficients of the regression are, for normal latents, the mean
gradient of the attribute (Stein's lemma), and a step along them is the shortest that changes it. Each class
is regressed on its own if there are enough pictures: the class changes what the latent means.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from gan_infer.conditions import classes_of_seeds
from gan_infer.errors import OptionError
from gan_infer.latent.directions import Direction
from gan_infer.models.generator import Generator
from gan_train.graphs.amend import round_vector
from gan_train.latent import attributes

Doubles = npt.NDArray[np.float64]
Classes = npt.NDArray[np.int64]

SAMPLES: Final = 10_000
# Far from the seeds that people use, so that the pictures they see are not those that were fitted.
_FIRST_SEED: Final = 2**40
# Pictures per element of the latent that a class's own regression needs.
_PICTURES_AN_ELEMENT: Final = 8
_AT_ONCE: Final = 512


@dataclasses.dataclass(frozen=True)
class FoundDirection:
    """A direction, and the share of the attribute's variance that the regression explains.

    `explained` is the mean over classes, None if the direction is from examples.
    """

    direction: Direction
    explained: float | None = None


@dataclasses.dataclass(frozen=True)
class Measured:
    """Sampled latents float64 [n, dim], their classes int64 [n] (0 throughout without any), values [n]."""

    latents: Doubles
    classes: Classes
    values: dict[str, Doubles]


def measure(
    generator: Generator,
    names: list[str],
    count: int = SAMPLES,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Measured:
    """Draw `count` pictures, classes in turn, and measure attributes of `attributes.ATTRIBUTES` on them."""
    seeds = np.arange(_FIRST_SEED, _FIRST_SEED + count, dtype=np.uint64)
    classes = classes_of_seeds(np.arange(count), max(1, len(generator.class_names)))
    parts: dict[str, list[Doubles]] = {name: [] for name in names}
    for start in range(0, count, _AT_ONCE):
        own = slice(start, min(count, start + _AT_ONCE))
        pictures = generator(generator.latents(seeds[own]), classes[own] if generator.conditional else None)
        for name, values in parts.items():
            values.append(attributes.ATTRIBUTES[name](pictures))
        progress(own.stop, count)
    return Measured(
        generator.latents(seeds).astype(np.float64),
        classes,
        {name: np.concatenate(values) for name, values in parts.items()},
    )


def by_attribute(measured: Measured, attribute: str, name: str) -> FoundDirection:
    """Return the direction of an attribute, pooled and, with enough pictures, class by class.

    The unit: +1 moves the attribute by one standard deviation of its natural variation within a
    class, as far as it changes linearly.

    Raises:
        OptionError: the attribute does not vary over the pictures, or these are too few.
    """
    latents, given, values = measured.latents, measured.classes, measured.values[attribute]
    count, dim = latents.shape
    if count < 2 * dim:
        raise OptionError(f"{count} pictures are too few for latents of {dim} elements; give {2 * dim}")
    classes = int(given.max()) + 1
    centred = values.copy()
    for index in range(classes):
        centred[given == index] -= values[given == index].mean()
    if centred.std() < 1e-9:
        raise OptionError(f"the {attribute} of all pictures is the same; there is no direction to find")
    pooled, explained = _step(latents, centred)
    scale = float(np.linalg.norm(pooled))
    own: tuple[tuple[float, ...], ...] = ()
    if classes > 1 and count // classes >= _PICTURES_AN_ELEMENT * dim:
        steps = [_step(latents[given == index], values[given == index]) for index in range(classes)]
        own = tuple(round_vector(step / scale) for step, _ in steps)
        explained = float(np.mean([share for _, share in steps]))
    source = f"regression of {attribute} on {count} latents; unit: one standard deviation within a class"
    return FoundDirection(
        Direction(name, round_vector(pooled / scale), round(scale, 4), source, own), explained
    )


def by_examples(generator: Generator, having: list[int], lacking: list[int], name: str) -> FoundDirection:
    """Return the direction from the mean latent of seeds without something to that of seeds with it.

    Since latents vary alike in all directions, this is Fisher's linear discriminant. The unit: one
    standard deviation of the latent along the direction.

    Raises:
        OptionError: a list is empty, or a seed is in both.
    """
    if not having or not lacking:
        raise OptionError("examples are missing; give at least one seed with and one without")
    if both := sorted(set(having) & set(lacking)):
        raise OptionError(f"seed {both[0]} is an example both with and without; give it once")
    groups = [generator.latents(seeds).astype(np.float64) for seeds in (having, lacking)]
    change = groups[0].mean(0) - groups[1].mean(0)
    unit = 1.0 if generator.metadata.latent_distribution == "normal" else 3**-0.5
    source = (
        f"{len(having)} examples with, {len(lacking)} without; unit: one standard deviation of the latent"
    )
    return FoundDirection(
        Direction(name, round_vector(change / np.linalg.norm(change)), round(unit, 4), source)
    )


def _step(latents: Doubles, values: Doubles) -> tuple[Doubles, float]:
    """Return the shortest step that raises the value by its standard deviation, and R^2 of the regression.

    With coefficients w, a step s changes the value by w.s; the shortest that changes it by sigma is
    w sigma / (w.w).
    """
    x, y = latents - latents.mean(0), values - values.mean()
    spread = float(y.std())
    coefficients = np.linalg.lstsq(x, y, rcond=None)[0]
    square = float(coefficients @ coefficients)
    if spread == 0.0 or square == 0.0:
        return np.zeros(latents.shape[1]), 0.0
    explained = 1.0 - float(np.square(y - x @ coefficients).mean()) / spread**2
    return coefficients * spread / square, explained
