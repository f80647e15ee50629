"""Moves latents along the directions that a model file names."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer import arguments
from gan_infer.errors import DataError, OptionError
from gan_infer.text import strict
from gan_infer.text.escaping import abridge

if TYPE_CHECKING:
    import numpy.typing as npt

    Amount = float | npt.ArrayLike

# With more units nothing is left of a picture; a larger number is a typing mistake.
MAX_AMOUNT: Final = 100.0


@dataclasses.dataclass(frozen=True)
class Direction:
    """A way to change a picture: latent + amount * scale * vector changes it by `amount` units.

    Changes along several directions are summed first; if latents are normal, the changed latent is
    then scaled back to its former length.

    Attributes:
        name: what changes ("thickness"), or "direction1", "direction2", ... without a name of its own.
        vector: [latent_dim], of length 1.
        scale: latent units in one unit of the direction.
        source: how it was found, and what a unit is.
        class_vectors: [classes][latent_dim] if classes have vectors of their own, which then replace
            `vector` (and need not be of length 1); a mix of classes mixes them too.
    """

    name: str
    vector: tuple[float, ...]
    scale: float = 1.0
    source: str = ""
    class_vectors: tuple[tuple[float, ...], ...] = ()


def find(directions: Mapping[str, Direction], key: object) -> Direction:
    """Return a direction by name; the number k, also as a text, stands for "direction<k>".

    Raises:
        OptionError: there is none; the message names those there are.
    """
    if isinstance(key, str) and key in directions:
        return directions[key]
    number = key if isinstance(key, str) else ""
    if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
        number = abridge(int(key))
    numbered = directions.get(f"direction{number}") if number.isascii() and number.isdigit() else None
    if numbered is None:
        known = f"give one of: {', '.join(directions)}" if directions else _HOW_TO_ADD
        raise OptionError(f"the model has no direction {abridge(key)}; {known}")
    return numbered


_HOW_TO_ADD: Final = (
    "it has none; add some to a file that gan-train wrote by: gan-train directions --model MODEL --to MODEL"
)


def check_amounts(
    directions: Mapping[str, Direction], asked: Mapping[Any, Amount]
) -> tuple[dict[str, npt.NDArray[np.float64]], int]:
    """Check amounts; return name -> float64 [n], and n, which is 1 if all amounts are single numbers.

    Raises:
        OptionError: an unknown direction, one given twice, an amount that is not a finite number
            from -100 to 100, or lists of amounts of different lengths.
    """
    if not isinstance(asked, Mapping):
        raise OptionError(f"amounts were {abridge(asked)}; give direction -> amount, as {{'thickness': 2}}")
    checked: dict[str, npt.NDArray[np.float64]] = {}
    count = 1
    for key, amount in asked.items():
        name = find(directions, key).name
        values = _check_amount(name, amount)
        if name in checked:
            raise OptionError(f"direction {name!r} was asked for twice; give it once")
        if len(values) != 1 and count not in (1, len(values)):
            raise OptionError(f"directions have {count} and {len(values)} amounts; give the same number")
        count = max(count, len(values))
        checked[name] = values
    return checked, count


def move(
    latents: npt.NDArray[np.float32],
    directions: Mapping[str, Direction],
    amounts: Mapping[str, npt.NDArray[np.float64]],
    weights: npt.NDArray[np.float32] | None,
    *,
    keep_length: bool,
) -> npt.NDArray[np.float32]:
    """Return latents + the sum over directions of amount * scale * vector, float32 [n, latent_dim].

    Args:
        latents: float32 [n, latent_dim], or [1, latent_dim] for all.
        amounts: name -> float64 [n], or [1] for all; 0 of everything leaves a latent as it is.
        weights: float32 [n, classes] or [1, classes], the classes whose own vectors to use, if a
            direction has them; None for an unconditional model.
        keep_length: scale each sum to the length of the latent that it started from. Normal latents
            lie near a sphere; on it, pictures keep their class for larger amounts.
    """
    start = latents.astype(np.float64)
    change = np.zeros((1, start.shape[1]))
    for name, amount in amounts.items():
        direction = directions[name]
        if direction.class_vectors and weights is not None:
            vector = weights.astype(np.float64) @ np.array(direction.class_vectors)
        else:
            vector = np.array(direction.vector)[None]
        change = change + amount[:, None] * (direction.scale * vector)
    result = start + change
    if keep_length:
        lengths = np.linalg.norm(result, axis=1, keepdims=True)
        kept = result * (np.linalg.norm(start, axis=1, keepdims=True) / np.where(lengths > 0, lengths, 1.0))
        result = np.where(change.any(1, keepdims=True), kept, result)
    return result.astype(np.float32)


def parse_range(text: str) -> tuple[float, float]:
    """Parse "-3:3" as (-3.0, 3.0).

    Raises:
        OptionError: it is not two numbers from -100 to 100 with a colon between.
    """
    if not isinstance(text, str):
        raise OptionError(f"range was {abridge(text)}; write it like -3:3")
    first, colon, last = text.partition(":")
    try:
        ends = float(first), float(last)
    except ValueError:
        ends = math.nan, math.nan
    if not colon or not all(abs(end) <= MAX_AMOUNT for end in ends):
        raise OptionError(
            f"range {abridge(text)} does not parse; write it like -3:3, "
            f"within -{MAX_AMOUNT:g} to {MAX_AMOUNT:g}"
        )
    return ends


def _check_amount(name: str, amount: Amount) -> npt.NDArray[np.float64]:
    try:
        values = arguments.numbers(amount, name).reshape(-1)
    except OptionError:
        values = None
    if values is None or len(values) == 0 or not (np.abs(values) <= MAX_AMOUNT).all():
        raise OptionError(
            f"direction {name!r} was given {abridge(amount)}; "
            f"give numbers from -{MAX_AMOUNT:g} to {MAX_AMOUNT:g}"
        )
    return values


def read_latent(path: Path) -> tuple[npt.NDArray[np.float32], int | None]:
    """Read a latent that `gan-train invert` wrote, .npy or .json.

    Returns:
        The latent, float32 [latent_dim], and the index of the class that a .json names, else None.

    Raises:
        DataError: the file cannot be read, or holds no single latent.
    """
    index, path = None, arguments.path(path, "a latent's file")
    try:
        if path.suffix.lower() == ".json":
            content = strict.read(path.read_text(encoding="utf-8"))
            values, index = content["latent"], content.get("label_index")
        else:
            values = np.load(path, allow_pickle=False)
        with np.errstate(over="ignore"):
            latent = arguments.numbers(values, "a latent").astype(np.float32)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}; give a latent's file") from None
    except (ValueError, TypeError, KeyError, AttributeError, EOFError, RecursionError, OptionError):
        raise DataError(
            f"{path} holds no latent; give the .npy or .json that gan-train invert wrote"
        ) from None
    if latent.ndim not in (1, 2) or latent.size != latent.shape[-1] or not np.isfinite(latent).all():
        raise DataError(f"{path} holds numbers of shape {latent.shape}; expected one latent, [latent_dim]")
    return latent.reshape(-1), index if type(index) is int else None
