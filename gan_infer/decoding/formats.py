"""The picture formats that are read: Pillow's names, suffixes of files, and modes by number of channels."""

from __future__ import annotations

from typing import Final

READ: Final = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
SUFFIXES: Final = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
)
MODES: Final = {1: "L", 3: "RGB", 4: "RGBA"}
