"""How code that knows no screen tells what is worth knowing: to a function that it is given."""

from __future__ import annotations

from collections.abc import Callable

# Takes a line of text; what it gives back does not matter.
Say = Callable[[str], object]


def silent(text: str) -> None:
    """Tell nobody."""
