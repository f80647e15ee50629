"""Finds what in a picture file, beside its pixels, changes how viewers show it: turns, colours, frames.

Each format is read piece by piece, as its standard says. What is known to change nothing is accepted;
what changes the look, or might in some viewer, is named. No pixels are decoded.
"""

from __future__ import annotations

from typing import Final

from gan_infer.display import gif, jpeg, png, webp
from gan_infer.display.findings import Findings

__all__ = ["Findings", "inspect"]

_KINDS: Final = (
    (png.SIGNATURE, png.check),
    (gif.SIGNATURES[0], gif.check),
    (gif.SIGNATURES[1], gif.check),
    (jpeg.SIGNATURE, jpeg.check),
    (b"RIFF", webp.check),
)


def inspect(body: bytes) -> tuple[Findings, int]:
    """Inspect a PNG, GIF, JPEG or WebP file.

    Returns:
        What was found, and the offset after the picture's last byte.
    """
    findings = Findings()
    for signature, check in _KINDS:
        if body.startswith(signature):
            end = check(body, findings)
            findings.end(len(body) - end)
            return findings, end
    findings.doubt("is of no format that is looked through")
    return findings, len(body)
