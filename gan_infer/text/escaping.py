"""Makes texts from outside safe to print: one line, with unsafe characters written as escapes."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Combining marks on one letter: more than any script uses would run over other lines.
_MOST_MARKS: Final = 4
# Characters that are invisible, though their category does not say so.
_UNSEEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0d\U000e0100-\U000e01ef]"
)
_ASCII: Final = re.compile("[ -~]*")


def plain(text: str) -> str:
    r"""Return a text in one line with every unsafe character escaped, for example as `\x1b` or `\u202e`.

    Unsafe are control, format (writing direction, zero width), private, unassigned, lone surrogate,
    line-separating and invisible characters, and combining marks beyond the fourth on a letter.
    Letters of all scripts and emoji stay. Escaping a text twice changes nothing more.
    """
    if _ASCII.fullmatch(text):
        return text
    parts, marks = [], 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category[0] == "M" else 0
        unsafe = category[0] == "C" or category in ("Zl", "Zp") or marks > _MOST_MARKS
        parts.append(_escape(character) if unsafe or _UNSEEN.match(character) else character)
    return "".join(parts)


def one_line(text: object, most: int = 200) -> str:
    """Return a text, or an error's message, in one line of at most `most` characters.

    White space is collapsed; what is cut off is marked by "...". An error without a message gives the
    name of its type.
    """
    line = " ".join(str(text).split())
    if not line and isinstance(text, BaseException):
        line = type(text).__name__
    return line if len(line) <= most else line[: most - 3] + "..."


def abridge(value: object, most: int = 80) -> str:
    """Return the repr of an argument for a message: safe to print, in one line, at most `most` long."""
    try:
        text = repr(value)
    except Exception:  # an object of the caller's, or an int of more digits than Python writes
        text = f"of type {type(value).__name__}"
    return plain(one_line(text, most))


def _escape(character: str) -> str:
    code = ord(character)
    if character in "\n\r\t":
        return repr(character)[1:-1]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
