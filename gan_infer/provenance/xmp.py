"""Texts in picture files: puts them into PNG, WebP, GIF and JPEG bytes, and finds them again.

It knows neither what the texts say nor the pixels, which it never decodes. There are two: an XMP
packet (UTF-8), in all four formats at the place of the XMP specification's part 3; and, in PNG
alone, a plain text under a keyword (a tEXt chunk). What is read is bounded and never inflated.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

# Longer texts are neither written nor read.
MAX_BYTES: Final = 2**20
# What one JPEG segment holds, less its length and the name of its content.
MAX_JPEG_BYTES: Final = 65_533 - 29
# Pieces of a file that are looked at; real pictures have a few dozen.
MAX_PIECES: Final = 100_000

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PNG_XMP: Final = b"XML:com.adobe.xmp"
_JPEG_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
_GIF_XMP: Final = b"XMP DataXMP"
# A reader that takes the bytes of the packet for lengths of blocks lands in here, wherever it
# comes from, and is led to the last byte, a block of length 0.
_GIF_TRAILER: Final = bytes([1, *range(255, -1, -1), 0])
_WEBP_HAS_XMP, _WEBP_HAS_ALPHA = 0x04, 0x10


class Texts(NamedTuple):
    """What was found in a file: the text under the keyword and the XMP packet, None where absent."""

    text: bytes | None
    xmp: bytes | None


class NoRoomError(ValueError):
    """The format or the file has no place for the texts."""


def insert(body: bytes, xmp: bytes, keyword: str = "", text: bytes = b"") -> bytes:
    """Return a picture file's bytes with an XMP packet and, in a PNG, a text under a keyword.

    Args:
        body: a whole PNG, WebP, GIF or JPEG file that holds no XMP yet.
        xmp: the packet, UTF-8 without zero bytes.
        keyword: 1 to 79 Latin-1 characters; "" for no text.
        text: Latin-1 without zero bytes.

    Raises:
        NoRoomError: the file is of another format, or a text is too long for it.
    """
    if max(len(xmp), len(text)) > MAX_BYTES:
        raise NoRoomError(f"the text has over {MAX_BYTES:,} bytes")
    if body.startswith(_PNG):
        return _into_png(body, xmp, keyword.encode("latin-1"), text)
    if body[:3] == b"GIF":
        return _into_gif(body, xmp)
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return _into_webp(body, xmp)
    if body[:2] == b"\xff\xd8":
        return _into_jpeg(body, xmp)
    raise NoRoomError("the file is no PNG, WebP, GIF or JPEG")


def extract(file: BinaryIO, keyword: str) -> Texts:
    """Find the texts in a picture file, which need not be whole; a damaged one just ends early.

    Args:
        file: readable and seekable, at its start.
        keyword: the one that `insert` was given.
    """
    head = file.read(12)
    file.seek(0)
    try:
        if head.startswith(_PNG):
            return _from_png(file, keyword.encode("latin-1"))
        if head[:3] == b"GIF":
            return Texts(None, _from_gif(file))
        if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            return Texts(None, _from_webp(file))
        if head[:2] == b"\xff\xd8":
            return Texts(None, _from_jpeg(file))
    except EOFError:
        pass
    return Texts(None, None)


# PNG (ISO/IEC 15948): chunks of a length, a type, data and a checksum.


def _into_png(body: bytes, xmp: bytes, keyword: bytes, text: bytes) -> bytes:
    chunks = _png_chunk(b"tEXt", keyword + b"\0" + text) if keyword else b""
    # Not compressed, of no language, without a translated keyword.
    chunks += _png_chunk(b"iTXt", _PNG_XMP + b"\0\0\0\0\0" + xmp)
    after_header = len(_PNG) + 25
    return body[:after_header] + chunks + body[after_header:]


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _from_png(file: BinaryIO, keyword: bytes) -> Texts:
    file.seek(len(_PNG))
    text = xmp = None
    for _ in range(MAX_PIECES):
        try:
            length, kind = struct.unpack(">I4s", _exactly(file, 8))
            if kind in (b"tEXt", b"iTXt") and length <= MAX_BYTES + 100:
                name, _, rest = _exactly(file, length).partition(b"\0")
                if kind == b"tEXt" and name == keyword:
                    text = text or rest
                elif name == _PNG_XMP and rest[:1] == b"\0":  # else it is compressed
                    xmp = xmp or rest[2:].split(b"\0", 2)[-1]
                file.seek(4, io.SEEK_CUR)
            else:
                file.seek(length + 4, io.SEEK_CUR)
        except EOFError:
            break
        if kind == b"IEND":
            break
    return Texts(text, xmp)


# GIF89a: extensions are a label and blocks of up to 255 bytes, the last of them empty.


def _into_gif(body: bytes, xmp: bytes) -> bytes:
    file = io.BytesIO(body)
    place = _gif_start(file)
    # A repeat count has to stand first; what belongs to the first frame comes after.
    while (piece := file.read(2)) in (b"!\xff", b"!\xfe"):
        _gif_blocks(file)
        place = file.tell()
    if piece[:1] not in (b"!", b","):
        raise NoRoomError("the GIF holds no frame")
    while _gif_walk(xmp + _GIF_TRAILER) != len(xmp) + len(_GIF_TRAILER):
        xmp += b" "  # so that a reader who counts blocks does not end one byte too soon
    extension = b"!\xff\x0b" + _GIF_XMP + xmp + _GIF_TRAILER
    return b"GIF89a" + body[6:place] + extension + body[place:]


def _gif_start(file: BinaryIO) -> int:
    """Go behind the header and the table of colours; give the place."""
    header = _exactly(file, 13)
    file.seek(3 << ((header[10] & 7) + 1) if header[10] & 0x80 else 0, io.SEEK_CUR)
    return file.tell()


def _gif_walk(data: bytes) -> int:
    """Return the place behind the empty block in bytes that are read as blocks."""
    file = io.BytesIO(data)
    _gif_blocks(file)
    return file.tell()


def _gif_blocks(file: BinaryIO) -> None:
    for _ in range(MAX_PIECES):
        length = _exactly(file, 1)[0]
        if not length:
            return
        file.seek(length, io.SEEK_CUR)
    raise EOFError


def _from_gif(file: BinaryIO) -> bytes | None:
    """Look before the first frame alone: what stands behind it may take any time to find."""
    _gif_start(file)
    for _ in range(MAX_PIECES):
        if file.read(1) != b"!":
            return None
        label = _exactly(file, 1)
        start = file.tell()
        _gif_blocks(file)
        end = file.tell()
        if label == b"\xff" and end - start <= MAX_BYTES + 1000:
            file.seek(start)
            data = _exactly(file, end - start)
            if data[1:12] == _GIF_XMP:
                return data[12:].removesuffix(_GIF_TRAILER)
    return None


# WebP (RFC 9649): RIFF chunks; texts need the extended form, whose first chunk names what follows.


def _into_webp(body: bytes, xmp: bytes) -> bytes:
    chunks = list(_riff_chunks(io.BytesIO(body)))
    if not chunks:
        raise NoRoomError("the WebP file holds nothing")
    kind, at, length = chunks[0]
    head = body[at : at + length]
    if kind == b"VP8X":
        extended = bytes([head[0] | _WEBP_HAS_XMP]) + head[1:]
        rest = body[at + length + length % 2 :]
    else:
        width, height, alpha = _webp_size(kind, head)
        flags = _WEBP_HAS_XMP | (_WEBP_HAS_ALPHA if alpha else 0)
        sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        extended = bytes([flags, 0, 0, 0]) + sides
        rest = body[12:]
    content = b"WEBP" + _riff_chunk(b"VP8X", extended) + rest + _riff_chunk(b"XMP ", xmp)
    return _riff_chunk(b"RIFF", content)


def _webp_size(kind: bytes, head: bytes) -> tuple[int, int, bool]:
    """Return width, height and whether there is transparency, of a file with one chunk."""
    if kind == b"VP8L":
        bits = int.from_bytes(head[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", head[6:10])
        return width & 0x3FFF, height & 0x3FFF, False
    raise NoRoomError(f"the WebP file begins with an unknown chunk {kind!r}")


def _riff_chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _riff_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Return the type, place of the data and length of each chunk."""
    file.seek(12)
    for _ in range(MAX_PIECES):
        head = file.read(8)
        if len(head) < 8:
            return
        kind, length = struct.unpack("<4sI", head)
        at = file.tell()
        yield kind, at, length
        file.seek(at + length + length % 2)


def _from_webp(file: BinaryIO) -> bytes | None:
    for kind, _, length in _riff_chunks(file):
        if kind == b"XMP " and length <= MAX_BYTES:
            return _exactly(file, length)
    return None


# JPEG (ITU-T T.81): segments of a marker and a length, up to the start of the scan.


def _into_jpeg(body: bytes, xmp: bytes) -> bytes:
    if len(xmp) > MAX_JPEG_BYTES:
        raise NoRoomError(f"the packet has over {MAX_JPEG_BYTES:,} bytes, more than a JPEG takes")
    place = 2
    if body[2:4] == b"\xff\xe0":  # the JFIF header has to stand first
        place = 4 + int.from_bytes(body[4:6], "big")
    data = _JPEG_XMP + xmp
    segment = b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data
    return body[:place] + segment + body[place:]


def _from_jpeg(file: BinaryIO) -> bytes | None:
    file.seek(2)
    for _ in range(MAX_PIECES):
        mark, kind, length = struct.unpack(">BBH", _exactly(file, 4))
        if mark != 0xFF or kind in (0xD9, 0xDA) or length < 2:
            return None
        if kind == 0xE1:
            data = _exactly(file, length - 2)
            if data.startswith(_JPEG_XMP):
                return data.removeprefix(_JPEG_XMP)
        else:
            file.seek(length - 2, io.SEEK_CUR)
    return None


def _exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise EOFError
    return data
