"""Writes out the characters of foreign texts that would steer, hide in or overrun a terminal."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Marks that may follow each other on one letter: more than any script writes would run over other lines.
_MOST_MARKS: Final = 4
# Letters, marks and signs that show as nothing, though their category does not say so.
_UNSEEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0d\U000e0100-\U000e01ef]"
)
_ASCII: Final = re.compile("[ -~]*")


def plain(text: str) -> str:
    r"""Return a text in one line that shows all that it holds, with `\x1b` or `\u202e` for what is unsafe.

    Unsafe are control, format (writing direction, zero width), private, unassigned and lone surrogate
    characters, separators of lines, what shows as nothing, and marks beyond the fourth on a letter.
    Letters of all scripts and emoji stay. A text that was escaped once stays as it is.
    """
    if _ASCII.fullmatch(text):
        return text
    shown, marks = [], 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category[0] == "M" else 0
        unsafe = category[0] == "C" or category in ("Zl", "Zp") or marks > _MOST_MARKS
        shown.append(_written_out(character) if unsafe or _UNSEEN.match(character) else character)
    return "".join(shown)


def abridge(value: object, most: int = 80) -> str:
    """Return what an argument was, for a message: its repr, in one line and cut where it is long."""
    try:
        text = repr(value)
    except Exception:  # an object of the caller's, or an int of more digits than Python writes
        text = f"of type {type(value).__name__}"
    return plain(one_line(text, most))


def one_line(value: object, most: int) -> str:
    """Return a text, or an error's words, in one line of at most `most` characters."""
    text = " ".join(str(value).split())
    return text if len(text) <= most else text[: most - 3] + "..."


def _written_out(character: str) -> str:
    code = ord(character)
    if character in "\n\r\t":
        return repr(character)[1:-1]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
