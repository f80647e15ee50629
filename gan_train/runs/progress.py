"""Say: the function by which code tells a person what it does."""

from __future__ import annotations

from collections.abc import Callable

# Takes a line of text; what it gives back does not matter.
Say = Callable[[str], object]


def silent(text: str) -> None:
    """Tell nobody."""
