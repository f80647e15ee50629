"""What of a foreign file cannot be recognised, and how its inputs and outputs are shown to people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gan_infer.modelfile.safety import graph

# Name -> the runtime's type, and the sides, None where free.
Ends = Mapping[str, tuple[str, tuple[int | None, ...]]]

_MOST_SHOWN: Final = 12


class UnclearError(ValueError):
    """What cannot be recognised, in words that go after "and"; `advice` says what to do."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.advice = advice


def show(ends: Ends) -> str:
    """Write inputs or outputs as people read them: z float [n, 100]."""
    shown = [f"{show_name(name)} {show_type(*end)}" for name, end in list(ends.items())[:_MOST_SHOWN]]
    return ", ".join([*shown, *(["..."] if len(ends) > _MOST_SHOWN else [])]) or "(none)"


def show_name(name: str) -> str:
    """Write a name of the file as it may stand in one line; what cannot be printed is written out."""
    return name if name.isprintable() and 0 < len(name) <= 60 else graph.quote(name)


def show_type(kind: str, shape: Sequence[int | None]) -> str:
    """Write a type as people read it: float [n, 100]."""
    sides = ", ".join("n" if side is None else str(side) for side in shape)
    return f"{kind.removeprefix('tensor(').removesuffix(')')} [{sides}]"


def show_sides(sides: Sequence[int]) -> str:
    """Write the shape of items as that of n of them: [n, 100]."""
    return f"[{', '.join(['n', *map(str, sides)])}]"
