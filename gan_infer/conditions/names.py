"""Finds the class that a label means: a name first, else an index; a number that could be both is refused."""

from __future__ import annotations

import decimal
import functools
import operator
import re
import unicodedata
from typing import Final

import numpy as np

from gan_infer.errors import LabelError
from gan_infer.text.escaping import abridge, plain

Label = int | str

_NAME: Final = "name:"
_INDEX: Final = re.compile(r"index:([0-9]{1,19})")
_DIGITS: Final = re.compile(r"[0-9]{1,19}")
# A name with this many digits or more is not taken for a number.
_MOST_DIGITS: Final = 19
# Typing mistakes are looked for among at most this many names.
_MOST_SEARCHED: Final = 2000
_MOST_LISTED: Final = 20


class Names:
    """The class names of one model, in the order of their indices.

    A label is read by one rule, in Python and on the command line:

    1. A text that is the name of a class means that class. If there is no such name, it means the only
       class whose name differs from it just in its Unicode form.
    2. `index:1` means the class with index 1. `name:1` means the class named "1", or else the only class
       whose name is that number ("001").
    3. A number (an int, a NumPy integer, a text of digits) is an index. If the name of another class is
       the same number ("7", "007", "7.0"), it is refused, because it could mean either.
    """

    def __init__(self, names: tuple[str, ...], model: str) -> None:
        """Hold the names; `model` names the model in messages."""
        self.names = names
        self.model = model
        self._index = {name: index for index, name in enumerate(names)}

    def index(self, label: object) -> int:
        """Return the index of the class that a label means.

        Raises:
            LabelError: there is no such class, or a number could mean two.
        """
        if isinstance(label, (np.ndarray, np.generic)) and label.ndim == 0:
            label = label.item()
        if isinstance(label, str):
            return self._read_text(str.__str__(label))
        try:
            number = operator.index(label)  # type: ignore[arg-type]
        except Exception:  # an object of the caller can raise anything
            raise self.make_error(label) from None
        if isinstance(label, bool):
            raise self.make_error(label)
        return self._read_number(number, label)

    def find_named(self, text: str) -> int | None:
        """Return the index of the class that a text names: a name, or marked by index: or name:; else None.

        Raises:
            LabelError: `index:` is followed by an index that the model does not have.
        """
        if text in self._index:
            return self._index[text]
        if match := _INDEX.fullmatch(text):
            number = int(match[1])
            if number >= len(self.names):
                raise self.make_error(text)
            return number
        if text.startswith(_NAME):
            name = text[len(_NAME) :]
            if name in self._index:
                return self._index[name]
            value = _read_whole_number(name)
            same = self._find_by_form(name) if value is None else self._indices_by_number.get(value, [])
        else:
            same = self._find_by_form(text)
        return same[0] if len(same) == 1 else None

    def may_be_mix(self, text: str) -> bool:
        """Return whether a text could be labels with weights, such as "4:0.7,9:0.3"."""
        marked = text.startswith((_NAME, "index:"))
        return text.count(":") > marked and self.find_named(text) is None

    def is_class(self, text: str) -> bool:
        """Return whether a text means a class of the model."""
        try:
            self.index(text)
        except LabelError:
            return False
        return True

    def make_error(self, label: object) -> LabelError:
        """Return the error for a label that means no class."""
        count = len(self.names)
        known = ", ".join(plain(name)[:60] for name in self.names[:_MOST_LISTED])
        close = self._find_close(label) if isinstance(label, str) else None
        meant = f"; did you mean {close!r}? Else" if close else ";"
        return LabelError(
            f"label {abridge(label)} is no class of model {self.model!r}{meant} give a name "
            f"({known}{', ...' if count > _MOST_LISTED else ''}) or an index from 0 to {count - 1}"
        )

    def _read_text(self, text: str) -> int:
        found = self.find_named(text)
        if found is not None:
            return found
        if _DIGITS.fullmatch(text):
            return self._read_number(int(text), text)
        raise self.make_error(text)

    def _find_by_form(self, text: str) -> list[int]:
        return self._indices_by_form.get(unicodedata.normalize("NFC", text), [])

    def _read_number(self, number: int, label: object) -> int:
        named = [index for index in self._indices_by_number.get(number, []) if index != number]
        known = 0 <= number < len(self.names)
        if not named:
            if not known:
                raise self.make_error(label)
            return number
        first = f"class {self.names[number]!r}" if known else f"no class (0 to {len(self.names) - 1})"
        others = " and ".join(f"{self.names[index]!r} (index {index})" for index in named[:3])
        by_name = self.names[named[0]]
        ways = f"'index:{number}' or 'name:{plain(by_name)}'" if known else f"'name:{plain(by_name)}'"
        raise LabelError(
            f"label {abridge(label)} could be an index or a name of model {self.model!r}: index {number} is "
            f"{first}, and that number is the name of {others}; write {ways}"
        )

    @functools.cached_property
    def _indices_by_number(self) -> dict[int, list[int]]:
        """Whole number -> the indices of the classes whose names are that number."""
        found: dict[int, list[int]] = {}
        for index, name in enumerate(self.names):
            if (value := _read_whole_number(name)) is not None:
                found.setdefault(value, []).append(index)
        return found

    @functools.cached_property
    def _indices_by_form(self) -> dict[str, list[int]]:
        """Name in Unicode form NFC -> the indices of the classes with that name."""
        found: dict[str, list[int]] = {}
        for index, name in enumerate(self.names):
            found.setdefault(unicodedata.normalize("NFC", name), []).append(index)
        return found

    def _find_close(self, text: str) -> str | None:
        if len(text) > 100 or len(self.names) > _MOST_SEARCHED:
            return None
        import difflib  # slow to import, and needed for typing mistakes only

        folded: dict[str, str] = {}
        for name in self.names:
            folded.setdefault(name.casefold(), name)
        close = difflib.get_close_matches(text.removeprefix(_NAME).casefold(), folded, 1, 0.75)
        return folded[close[0]] if close else None


def _read_whole_number(name: str) -> int | None:
    """Return the whole number that a name is, 7 for "007", "7.0" or "٧"; None if it is none."""
    if len(name) > 64 or not any(character.isdecimal() for character in name):
        return None
    try:
        value = decimal.Decimal(unicodedata.normalize("NFKC", name))
    except decimal.InvalidOperation:
        return None
    if not value.is_finite() or value.adjusted() >= _MOST_DIGITS or value != value.to_integral_value():
        return None
    return int(value)
