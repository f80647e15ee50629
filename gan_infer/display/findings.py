"""What is found in a picture file beside its pixels, sorted by what it does to how the file looks."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class Findings:
    """What a file holds beside its pixels; each clause is read after the name of the file.

    Attributes:
        changes: what makes viewers show something else than the stored pixels.
        doubts: what some viewers might show otherwise.
        more: what is not shown, and which a plain picture would not hold.
        behind: a colour to be shown behind transparency is named; it counts where there is any.
        frames: pictures in the file; 0 where they were not counted.
        texts: keyword and text of the plain texts of a PNG.
        xmp: the XMP packets, as they stand in the file.
    """

    changes: list[str] = dataclasses.field(default_factory=list)
    doubts: list[str] = dataclasses.field(default_factory=list)
    more: list[str] = dataclasses.field(default_factory=list)
    behind: bool = False
    frames: int = 0
    texts: list[tuple[bytes, bytes]] = dataclasses.field(default_factory=list)
    xmp: list[bytes] = dataclasses.field(default_factory=list)

    def change(self, clause: str) -> None:
        """Note what makes viewers show something else."""
        _append(self.changes, clause)

    def doubt(self, clause: str) -> None:
        """Note what some viewers might show otherwise."""
        _append(self.doubts, clause)

    def add(self, clause: str) -> None:
        """Note what is not shown."""
        _append(self.more, clause)

    def end(self, rest: int) -> None:
        """Note the bytes behind the end of the picture."""
        if rest > 0:
            self.add(f"{rest:,} bytes behind its end")


def _append(clauses: list[str], clause: str) -> None:
    if clause not in clauses:
        clauses.append(clause)
