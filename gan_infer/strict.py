"""Reads JSON that anybody may have written; what two readers could take differently is refused."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

# Objects and lists within each other: what ganforge writes has five.
_DEEPEST: Final = 32
# Integers beyond this are exact in no other language.
_LARGEST: Final = 2**64
# Halves of a character that JSON can write alone, and that nothing can print.
_LONE: Final = re.compile("[\ud800-\udfff]")


def read(text: str) -> Any:
    """Return what a JSON text says: dicts, lists, texts, finite numbers, booleans and None.

    Raises:
        ValueError: it is no JSON, an object has a key twice, a number is not finite or beyond 64 bits, a
            text holds half a character, or it is nested too deeply. The message is a clause.
    """
    if not isinstance(text, str):
        raise ValueError("it is no text")
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    _check(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"it has the key {key[:40]!r} twice")
            seen.add(key)
    return found


def _no_number(word: str) -> Any:
    raise ValueError(f"it holds {word}, which is no number of JSON")


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
        elif isinstance(value, str):
            if not value.isascii() and _LONE.search(value):
                raise ValueError("it holds what is no Unicode text")
        elif isinstance(value, float) and not math.isfinite(value):
            raise ValueError("it holds a number that is too large")
        elif isinstance(value, int) and not -_LARGEST < value < _LARGEST:
            raise ValueError("it holds an integer of more than 64 bits")
