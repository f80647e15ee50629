"""Reads protocol-buffer messages as dicts of their fields, one level at a time.

Bytes are returned as views, never copied, and the number of fields is limited, so that time and memory do
not depend on what a file claims. The reader is stricter than the format: it refuses repeated fields that
should be there once, fields of another kind than in their table, unknown fields, groups, and numbers in more
bytes than they need, because two readers could understand them in two ways.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

# Kinds of fields; a kind that ends in "s" can be repeated.
INT: Final = "int"  # 64 bits, signed
INT32: Final = "int32"
FLOAT: Final = "float"
TEXT: Final = "text"  # decoded, at most MAX_TEXT bytes
BYTES: Final = "view"  # a view: a message within, or raw data
INTS: Final = "ints"
FLOATS: Final = "floats"
TEXTS: Final = "texts"
MESSAGES: Final = "views"
SKIPS: Final = "skips"  # not looked into
REFUSED: Final = "refused"

MAX_TEXT: Final = 512

Schema = Mapping[int, tuple[str, str]]

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_WIRE_TYPES: Final = {
    INT: (_VARINT,),
    INT32: (_VARINT,),
    FLOAT: (_FIXED32,),
    TEXT: (_LENGTH,),
    BYTES: (_LENGTH,),
    INTS: (_VARINT, _LENGTH),
    FLOATS: (_FIXED32, _LENGTH),
    TEXTS: (_LENGTH,),
    MESSAGES: (_LENGTH,),
    SKIPS: (_LENGTH,),
}


class RefusedError(ValueError):
    """The file is refused; the message is to be read after "it"."""


class UnreadableError(RefusedError):
    """The bytes are not a message of the requested kind."""


class Reader:
    """Reads messages with at most `fields` fields, over all calls."""

    def __init__(self, fields: int) -> None:
        self._left = fields

    def read(self, view: memoryview, schema: Schema, what: str) -> dict[str, Any]:
        """Return name -> value of a message; absent single fields are absent, repeated ones empty.

        Args:
            view: the message, all of it.
            schema: number -> (name, kind).
            what: the message's name, for errors.

        Raises:
            RefusedError: it is no such message, holds what is refused, or there are too many fields.
        """
        found: dict[str, Any] = {name: [] for name, kind in schema.values() if kind[-1] == "s"}
        at, end = 0, len(view)
        while at < end:
            self._spend(1)
            key, at = _varint(view, at)
            number, wire_type = key >> 3, key & 7
            name, kind = schema.get(number, ("", ""))
            if not name:
                raise UnreadableError(f"has an unknown field {min(number, 2**32)} in {what}")
            if kind == REFUSED:
                raise RefusedError(f"has {name} in {what}, which is not taken")
            if wire_type not in _WIRE_TYPES[kind]:
                raise UnreadableError(f"has {name} of the wrong kind in {what}")
            value, at = self._value(view, at, wire_type, kind)
            if kind[-1] == "s":
                if kind in (INTS, FLOATS) and wire_type == _LENGTH:
                    found[name].extend(value)
                elif kind != SKIPS:
                    found[name].append(value)
            elif name in found:
                raise UnreadableError(f"has {name} twice in {what}")
            else:
                found[name] = value
        return found

    def integers(self, view: memoryview) -> list[int]:
        """Return the signed 64-bit integers of a packed field."""
        values, at = [], 0
        while at < len(view):
            self._spend(1)
            value, at = _varint(view, at)
            values.append(_signed(value))
        return values

    def _value(self, view: memoryview, at: int, wire_type: int, kind: str) -> tuple[Any, int]:
        if wire_type == _VARINT:
            value, at = _varint(view, at)
            value = _signed(value)
            if kind == INT32 and not -(2**31) <= value < 2**31:
                raise UnreadableError("has a 32-bit number that is larger than that")
            return value, at
        if wire_type == _FIXED32:
            part, at = _part(view, at, 4)
            return struct.unpack("<f", part)[0], at
        length, at = _varint(view, at)
        part, at = _part(view, at, length)
        if kind in (TEXT, TEXTS):
            return _text(part), at
        if kind == INTS:
            return self.integers(part), at
        if kind == FLOATS:
            if len(part) % 4:
                raise UnreadableError("has a list of floats that is no multiple of 4 bytes long")
            self._spend(len(part) // 4)
            return list(struct.unpack(f"<{len(part) // 4}f", part)), at
        return part, at

    def _spend(self, fields: int) -> None:
        self._left -= fields
        if self._left < 0:
            raise UnreadableError("has more fields than any generator needs")


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    """Return the unsigned number at a position, and the position after it."""
    try:
        byte = view[at]
        if byte < 0x80:
            return byte, at + 1
        result, shift = byte & 0x7F, 7
        for place in range(at + 1, at + 10):
            byte = view[place]
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                if byte == 0 or result >= 2**64:
                    raise UnreadableError("has a number written in too many bytes")
                return result, place + 1
            shift += 7
    except IndexError:
        raise UnreadableError("ends within a number") from None
    raise UnreadableError("has a number written in too many bytes")


def _part(view: memoryview, at: int, length: int) -> tuple[memoryview, int]:
    if length > len(view) - at:
        raise UnreadableError("claims more bytes than it has")
    return view[at : at + length], at + length


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _text(part: memoryview) -> str:
    if len(part) > MAX_TEXT:
        raise UnreadableError(f"has a name of {len(part):,} bytes; at most {MAX_TEXT:,} are taken")
    try:
        return str(part, "utf-8")
    except UnicodeDecodeError:
        raise UnreadableError("has a name that is no UTF-8 text") from None
