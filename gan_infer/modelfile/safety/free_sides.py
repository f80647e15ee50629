"""Reads the bounds of a file's free sides, which the list `inputs` in its metadata states."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from gan_infer.conditions import spec
from gan_infer.conditions.spec import Free
from gan_infer.modelfile.safety.graph import MAX_RANK, End, quote
from gan_infer.modelfile.safety.protobuf import RefusedError

_KEY: Final = "ganforge"

# The sides of an input, including the batch; None if free without bounds.
Sides = tuple[int | Free | None, ...]
# Input name -> its sides without the batch.
Listed = Mapping[str, tuple[int | Free, ...]]


def read(metadata: Mapping[str, str]) -> Listed | None:
    """Return the inputs that a file lists; None for a file of format 1.0, or of other tools.

    Raises:
        RefusedError: the list cannot be read, or has a bound that is not valid.
    """
    try:
        described = json.loads(metadata.get(_KEY, "null"))
    except (ValueError, RecursionError):  # the reader of the metadata reports the error
        return None
    if not isinstance(described, dict) or "inputs" not in described:
        return None
    items = described["inputs"]
    if not isinstance(items, list) or len(items) > spec.MOST_SPECS or not all(map(_is_input, items)):
        raise RefusedError("lists inputs in its metadata that are none; expected a name and a shape of each")
    listed = {
        item["name"]: tuple(_read_side(item["name"], side) for side in item.get("shape", ()))
        for item in items
    }
    if len(listed) != len(items):
        raise RefusedError("lists an input twice in its metadata")
    return listed


def _is_input(item: Any) -> bool:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        return False
    shape = item.get("shape", [])
    return isinstance(shape, list) and len(shape) < MAX_RANK


def _read_side(name: str, side: Any) -> int | Free:
    found = spec.read_side(side)
    if found is None:
        raise RefusedError(
            f"bounds a side of the input {quote(name)} by {str(side)[:80]!r} in its metadata; "
            f"expected a number, or low, high and multiple, 1 <= low <= high <= {spec.LONGEST_SIDE:,}"
        )
    return found


def apply(listed: Listed | None, end: End) -> Sides:
    """Return the sides of an input of the graph, with the bounds of free ones.

    Without a list a free side stays free, and is always 1.

    Raises:
        RefusedError: a side is free without bounds, or the list and the graph differ.
    """
    if listed is None or (end.name not in listed and None not in end.shape[1:]):
        return end.shape
    if end.name not in listed:
        raise RefusedError(f"has the input {quote(end.name)}, of which its metadata bounds no free side")
    sides = listed[end.name]
    same = len(sides) == len(end.shape) - 1 and all(
        isinstance(side, Free) if held is None else side == held
        for side, held in zip(sides, end.shape[1:], strict=True)
    )
    if not same:
        raise RefusedError(
            f"has an input {quote(end.name)} of {_format(end.shape[1:])}; its metadata says {_format(sides)}"
        )
    return (end.shape[0], *sides)


def _format(sides: Sides) -> str:
    texts = [
        "free" if side is None else f"{side.low}..{side.high}" if isinstance(side, Free) else str(side)
        for side in sides
    ]
    return f"[{', '.join(texts)}]"
