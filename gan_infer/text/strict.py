"""Reads untrusted JSON; what two readers could understand differently is refused."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Collection
from typing import Any, Final

# Nesting of objects and lists: what ganforge writes has five.
_DEEPEST: Final = 32
# Integers beyond this are exact in no other language.
_LARGEST: Final = 2**64
# Lone surrogates, which JSON can write and nothing can print.
_LONE: Final = re.compile("[\ud800-\udfff]")


def read(text: str, measured: Collection[str] = ()) -> Any:
    """Return the value of a JSON text: dicts, lists, texts, finite numbers, booleans and None.

    Args:
        measured: keys of the outermost object; NaN and Infinity inside them are read as None.

    Raises:
        ValueError: it is not JSON, an object has a key twice, a number is not finite or beyond 64 bits, a
            text holds a lone surrogate, or it is nested too deeply. The message is a clause.
    """
    if not isinstance(text, str):
        raise ValueError("it is not a text")
    try:
        value = json.loads(text, object_pairs_hook=_make_object, parse_constant=_Constant)
        if isinstance(value, dict):
            value |= {key: _replace_constants(value[key]) for key in measured if key in value}
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    _check(value)
    return value


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"it has the key {twice[:40]!r} twice")
    return result


class _Constant(str):
    """NaN, Infinity or -Infinity: Python writes them, JSON does not have them."""


def _replace_constants(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _replace_constants(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_replace_constants(item) for item in value]
    return None if isinstance(value, _Constant) else value


def _check(whole: Any) -> None:
    """Check every value, without recursion, which a file could make too deep."""
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
            raise ValueError(f"it holds {value}, which is not a number in JSON")
        elif isinstance(value, str):
            if not value.isascii() and _LONE.search(value):
                raise ValueError("it holds what is no Unicode text")
        elif isinstance(value, float) and not math.isfinite(value):
            raise ValueError("it holds a number that is too large")
        elif isinstance(value, int) and not -_LARGEST < value < _LARGEST:
            raise ValueError("it holds an integer of more than 64 bits")
