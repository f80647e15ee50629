"""Makes names of files and classes printable, lists them in messages, and numbers them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import numpy as np
import numpy.typing as npt

# Short enough to be meant as a number; longer ones are identifiers.
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")


def escape(name: str) -> str:
    """Return a file's name as text that can be printed on one line, whatever its bytes."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode()
        for letter in name
    )


def clean_class_name(label: str) -> str:
    """Return a class's name: printable, composed (NFC: systems differ in how they store é), not empty."""
    return escape(unicodedata.normalize("NFC", label).strip()) or repr(label)


def list_names(names: Sequence[str], most: int = 5) -> str:
    """Return the first names and the number of the others, as a text."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(map(escape, names[:most])) + more


def number_classes(labels: Sequence[str]) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Return a number for each label, and their names: sorted as numbers if all are numbers."""
    names = [clean_class_name(label) for label in labels]
    known = set(names)
    numeric = all(_NUMBER.fullmatch(name) for name in known)
    ordered = sorted(known, key=(lambda name: (Decimal(name), name)) if numeric else (lambda name: (0, name)))
    numbers = {name: number for number, name in enumerate(ordered)}
    return np.array([numbers[name] for name in names], np.int64), tuple(ordered)
