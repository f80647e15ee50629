"""The error for a foreign file that cannot be recognised, and its inputs and outputs as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gan_infer.modelfile.safety import graph

# Name -> type in the runtime, and sides, None if free.
Ends = Mapping[str, tuple[str, tuple[int | None, ...]]]

_MOST_SHOWN: Final = 12


class UnclearError(ValueError):
    """Something cannot be recognised; to be read after "and". `advice` says what to do."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.advice = advice


def show(ends: Ends) -> str:
    """Return inputs or outputs as text: z float [n, 100]."""
    shown = [f"{show_name(name)} {show_type(*end)}" for name, end in list(ends.items())[:_MOST_SHOWN]]
    return ", ".join([*shown, *(["..."] if len(ends) > _MOST_SHOWN else [])]) or "(none)"


def show_name(name: str) -> str:
    """Return a name in the file for one line of text; quoted if it cannot be printed."""
    return name if name.isprintable() and 0 < len(name) <= 60 else graph.quote(name)


def show_type(kind: str, shape: Sequence[int | None]) -> str:
    """Return a type as text: float [n, 100]."""
    sides = ", ".join("n" if side is None else str(side) for side in shape)
    return f"{kind.removeprefix('tensor(').removesuffix(')')} [{sides}]"


def show_sides(sides: Sequence[int]) -> str:
    """Return the shape of n items as text: [n, 100]."""
    return f"[{', '.join(['n', *map(str, sides)])}]"
