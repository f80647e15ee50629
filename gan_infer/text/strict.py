"""Reads JSON that anybody may have written; what two readers could take differently is refused."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Collection
from typing import Any, Final

# Objects and lists within each other: what ganforge writes has five.
_DEEPEST: Final = 32
# Integers beyond this are exact in no other language.
_LARGEST: Final = 2**64
# Halves of a character that JSON can write alone, and that nothing can print.
_LONE: Final = re.compile("[\ud800-\udfff]")


def read(text: str, measured: Collection[str] = ()) -> Any:
    """Return what a JSON text says: dicts, lists, texts, finite numbers, booleans and None.

    Args:
        measured: keys of the outermost object within which NaN and Infinity are read as None.

    Raises:
        ValueError: it is no JSON, an object has a key twice, a number is not finite or beyond 64 bits, a
            text holds half a character, or it is nested too deeply. The message is a clause.
    """
    if not isinstance(text, str):
        raise ValueError("it is no text")
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_Constant)
        if isinstance(value, dict):
            value |= {key: _with_nulls(value[key]) for key in measured if key in value}
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    _check(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"it has the key {twice[:40]!r} twice")
    return found


class _Constant(str):
    """NaN, Infinity or -Infinity, which Python writes and JSON does not know."""


def _with_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_nulls(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_nulls(item) for item in value]
    return None if isinstance(value, _Constant) else value


def _check(whole: Any) -> None:
    """Look at every value; not by recursion, which a file could make too deep."""
    todo = [(whole, 1)]
    while todo:
        value, depth = todo.pop()
        if depth > _DEEPEST:
            raise ValueError("it is nested too deeply")
        if isinstance(value, dict):
            todo += [(key, depth) for key in value]
            todo += [(item, depth + 1) for item in value.values()]
        elif isinstance(value, list):
            if set(map(type, value)) == {float} and all(map(math.isfinite, value)):
                continue  # a vector, which may be long
            todo += [(item, depth + 1) for item in value]
        elif isinstance(value, _Constant):
            raise ValueError(f"it holds {value}, which is no number of JSON")
        elif isinstance(value, str):
            if not value.isascii() and _LONE.search(value):
                raise ValueError("it holds what is no Unicode text")
        elif isinstance(value, float) and not math.isfinite(value):
            raise ValueError("it holds a number that is too large")
        elif isinstance(value, int) and not -_LARGEST < value < _LARGEST:
            raise ValueError("it holds an integer of more than 64 bits")
