"""Say: a function that shows a person what the code is doing."""

from __future__ import annotations

from collections.abc import Callable

# Takes a line of text; its result is ignored.
Say = Callable[[str], object]


def silent(text: str) -> None:
    """Ignore the text."""
