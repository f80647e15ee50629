"""What a picture file holds beside its pixels, sorted by its effect on how the file looks."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class Findings:
    """What a file holds beside its pixels; each text is a clause to be read after the file's name.

    Attributes:
        changes: what makes viewers show something other than the stored pixels.
        doubts: what some viewers might show differently.
        more: what is not shown, and what a plain picture would not hold.
        behind: whether the file names a colour to show behind transparent pixels.
        frames: the number of pictures in the file; 0 if they were not counted.
        texts: keyword and text of the plain texts of a PNG.
        xmp: the XMP packets, byte for byte.
    """

    changes: list[str] = dataclasses.field(default_factory=list)
    doubts: list[str] = dataclasses.field(default_factory=list)
    more: list[str] = dataclasses.field(default_factory=list)
    behind: bool = False
    frames: int = 0
    texts: list[tuple[bytes, bytes]] = dataclasses.field(default_factory=list)
    xmp: list[bytes] = dataclasses.field(default_factory=list)

    def change(self, clause: str) -> None:
        """Note what makes viewers show something other than the stored pixels."""
        _append(self.changes, clause)

    def doubt(self, clause: str) -> None:
        """Note what some viewers might show differently."""
        _append(self.doubts, clause)

    def add(self, clause: str) -> None:
        """Note what is not shown."""
        _append(self.more, clause)

    def end(self, rest: int) -> None:
        """Note the bytes after the end of the picture."""
        if rest > 0:
            self.add(f"{rest:,} bytes behind its end")


def _append(clauses: list[str], clause: str) -> None:
    if clause not in clauses:
        clauses.append(clause)
