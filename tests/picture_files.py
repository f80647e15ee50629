"""Picture files made by hand, where Pillow does not write what a test needs."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """Return the content of a file that Pillow writes."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(array: np.ndarray, before: bytes = b"", after: bytes = b"") -> bytes:
    """Return a PNG of uint8 or uint16 [height, width] or [height, width, bands], chunks around its pixels."""
    deep = array.dtype.itemsize == 2
    rows = array.astype(">u2" if deep else "u1")
    bands = rows.shape[2] if rows.ndim == 3 else 1
    header = struct.pack(">IIBB3x", rows.shape[1], rows.shape[0], 16 if deep else 8, _COLOUR_TYPES[bands])
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            before,
            chunk(b"IDAT", body),
            after,
            chunk(b"IEND"),
        )
    )


def blank_png(width: int, height: int, bits: int, colour: int, row_bytes: int) -> bytes:
    """Return a small file of many black pixels."""
    packing, parts = zlib.compressobj(9), []
    left = height * (row_bytes + 1)
    while left > 0:
        parts.append(packing.compress(bytes(min(left, 2**22))))
        left -= 2**22
    body = b"".join((*parts, packing.flush()))
    header = struct.pack(">IIBB3x", width, height, bits, colour)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND")


def directory(entries: list[tuple[int, int, int, int]], order: str = "<") -> bytes:
    """Return a TIFF's header and a directory of (tag, type, count, value)."""
    body = b"".join(struct.pack(f"{order}HHII", *entry) for entry in entries)
    start = b"II*\0\x08\0\0\0" if order == "<" else b"MM\0*\0\0\0\x08"
    return start + struct.pack(f"{order}H", len(entries)) + body + bytes(4)


def profile(space: bytes, gamma: float, primaries: tuple[tuple[float, ...], ...] = ()) -> bytes:
    """Return an ICC profile: of grey, or of colours by three columns of XYZ under D50."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def xyz(values: tuple[float, ...]) -> bytes:
        return b"XYZ " + bytes(4) + b"".join(map(fixed, values))

    white = (0.9642, 1.0, 0.8249)
    curve = b"curv" + bytes(4) + struct.pack(">IH2x", 1, round(gamma * 256))
    tags = [(b"desc", b"desc" + bytes(4) + struct.pack(">I", 2) + b"x\0" + bytes(78)), (b"wtpt", xyz(white))]
    if primaries:
        tags += [
            (name + b"XYZ", xyz(column)) for name, column in zip((b"r", b"g", b"b"), primaries, strict=True)
        ]
        tags += [(name + b"TRC", curve) for name in (b"r", b"g", b"b")]
    else:
        tags.append((b"kTRC", curve))
    table, body, at = b"", b"", 132 + 12 * len(tags)
    for name, content in tags:
        table += name + struct.pack(">II", at + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    start = struct.pack(">I4sI4s4s4s", at + len(body), b"lcms", 0x02100000, b"mntr", space, b"XYZ ")
    head = start + bytes(12) + b"acsp" + bytes(28) + b"".join(map(fixed, white))
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


ADOBE_RGB = profile(
    b"RGB ",
    2.19921875,
    ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)),
)
