"""Checks XMP for what turns, recolours or replaces a picture, without parsing it as XML."""

from __future__ import annotations

import re
from typing import Final

from gan_infer.display.findings import Findings

_ORIENTATION: Final = re.compile(r"orientation", re.IGNORECASE)
_UPRIGHT: Final = re.compile(
    r"""\s[\w.-]+:Orientation\s*=\s*(?:"1"|'1')|<[\w.-]+:Orientation\s*>\s*1\s*</[\w.-]+:Orientation\s*>"""
)
_SRGB: Final = re.compile(
    r"""exif:ColorSpace\s*=\s*(?:"1"|'1')|<exif:ColorSpace>1</exif:ColorSpace>"""
    r"""|photoshop:ICCProfile\s*=\s*(?:"sRGB[^"<]*"|'sRGB[^'<]*')|<photoshop:ICCProfile>sRGB[^<]*</photoshop:ICCProfile>"""
)
# Words in properties that viewers show, or that change how they show a picture.
_STEERING: Final = {
    "thumbnail": "a thumbnail of its own",
    "hdrgm": "a gain map",
    "gainmap": "a gain map",
    "camera-raw-settings": "settings that photo editors apply",
    "/photos/1.0/": "what viewers of panoramas, depth or films act on",
    "microvideo": "a film",
    "motionphoto": "a film",
    "pixelaspectratio": "pixels that are not square",
    "colorspace": "a colour space",
    "iccprofile": "an ICC profile",
    "<!doctype": "definitions",
    "<!entity": "definitions",
}


def check(packet: bytes, findings: Findings) -> None:
    """Note what an XMP packet does to a picture; remove our own texts before."""
    if b"\0" in packet:
        findings.doubt("holds XMP in an encoding that is not read here")
        return
    text = packet.decode("utf-8", "replace")
    if len(_ORIENTATION.findall(text)) > len(_find_upright(text)):
        findings.change("may be turned by its XMP (an orientation)")
    lower = _SRGB.sub("", text).lower()
    for word, what in _STEERING.items():
        if word in lower:
            findings.doubt(f"holds XMP with {what}")


def _find_upright(text: str) -> list[str]:
    """Return the mentions of an upright orientation; an element mentions it twice."""
    return [name for each in _UPRIGHT.findall(text) for name in _ORIENTATION.findall(each)]
