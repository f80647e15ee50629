"""Which class a label names: a name first, else an index, and no guess where a number could be either."""

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
# Names of so many digits and more are no numbers that people count by.
_MOST_DIGITS: Final = 19
# Among more names than this none is searched for a slip of the keyboard.
_MOST_SEARCHED: Final = 2000
_MOST_LISTED: Final = 20


class Names:
    """The class names of one model, in the order of their indices.

    A label is read by one rule, in Python and on the command line:

    1. A text that is a class's name is that class; or, where none is, the only one whose name differs
       in its Unicode form alone.
    2. `index:1` is the class of index 1, `name:1` the one named "1", or else the only one whose name is
       written as that number ("001").
    3. A number (an int, NumPy's integers, a text of digits) is an index. Where another class is named
       by the same number ("7", "007", "7.0"), it is refused: it could be meant either way.
    """

    def __init__(self, names: tuple[str, ...], model: str) -> None:
        """Hold the names; `model` names the model in messages."""
        self.names = names
        self.model = model
        self._index = {name: index for index, name in enumerate(names)}

    def index(self, label: object) -> int:
        """Return the index of the class that a label names.

        Raises:
            LabelError: no such class, or a number that could name two classes.
        """
        if isinstance(label, (np.ndarray, np.generic)) and label.ndim == 0:
            label = label.item()
        if isinstance(label, str):
            return self._read_text(str.__str__(label))
        try:
            number = operator.index(label)  # type: ignore[arg-type]
        except Exception:  # whatever an object of the caller's raises, it is no number
            raise self.make_error(label) from None
        if isinstance(label, bool):
            raise self.make_error(label)
        return self._read_number(number, label)

    def find_named(self, text: str) -> int | None:
        """Return the index that a text names outright: a name, or one marked by index: or name:.

        Raises:
            LabelError: `index:` is followed by no index of the model.
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
        """Return whether a text is to be read as labels with weights: "4:0.7,9:0.3"."""
        marked = text.startswith((_NAME, "index:"))
        return text.count(":") > marked and self.find_named(text) is None

    def is_class(self, text: str) -> bool:
        """Return whether a text names a class of the model, by whatever part of the rule."""
        try:
            self.index(text)
        except LabelError:
            return False
        return True

    def make_error(self, label: object) -> LabelError:
        """Return the error for a label that is no class."""
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
        """Whole number -> the indices of the classes whose names are written as it."""
        found: dict[int, list[int]] = {}
        for index, name in enumerate(self.names):
            if (value := _read_whole_number(name)) is not None:
                found.setdefault(value, []).append(index)
        return found

    @functools.cached_property
    def _indices_by_form(self) -> dict[str, list[int]]:
        """Composed form -> the indices of the classes whose names have it."""
        found: dict[str, list[int]] = {}
        for index, name in enumerate(self.names):
            found.setdefault(unicodedata.normalize("NFC", name), []).append(index)
        return found

    def _find_close(self, text: str) -> str | None:
        if len(text) > 100 or len(self.names) > _MOST_SEARCHED:
            return None
        import difflib  # only who mistypes waits for it

        folded: dict[str, str] = {}
        for name in self.names:
            folded.setdefault(name.casefold(), name)
        close = difflib.get_close_matches(text.removeprefix(_NAME).casefold(), folded, 1, 0.75)
        return folded[close[0]] if close else None


def _read_whole_number(name: str) -> int | None:
    """Return the whole number that a name is written as: 7 of "007", "7.0" or "٧"; None for others."""
    if len(name) > 64 or not any(character.isdecimal() for character in name):
        return None
    try:
        value = decimal.Decimal(unicodedata.normalize("NFKC", name))
    except decimal.InvalidOperation:
        return None
    if not value.is_finite() or value.adjusted() >= _MOST_DIGITS or value != value.to_integral_value():
        return None
    return int(value)
