"""Inserts texts into PNG, WebP, GIF and JPEG files, and extracts them.

There are two texts: an XMP packet (UTF-8), in all four formats where part 3 of the XMP specification
puts it; and, in PNG only, a plain text under a keyword (a tEXt chunk). Pixels are never decoded. What
is read is bounded, and never decompressed.
"""

# Pillow writes the same bytes (the tests compare them), but cannot replace this file: it writes texts only
# when it encodes pixels, so that an existing JPEG or WebP would lose quality; it neither writes nor reads XMP
# in a GIF; it fails on damaged files and on files with over 179 million pixels; it finds texts after the
# pixels of a PNG only by decoding these; and it decompresses texts.

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

# Longer texts are neither written nor read.
MAX_BYTES: Final = 2**20
# The size of one JPEG segment, minus its length field and the name of its content.
MAX_JPEG_BYTES: Final = 65_533 - 29
# The most parts of a file that are read; real pictures have a few dozen.
MAX_PIECES: Final = 100_000

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_STARTS: Final = {_PNG: "PNG", b"GIF": "GIF", b"\xff\xd8": "JPEG"}
_PNG_XMP: Final = b"XML:com.adobe.xmp"
_JPEG_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
_GIF_XMP: Final = b"XMP DataXMP"
# A reader that takes bytes of the packet for lengths of blocks ends up in these bytes, which lead it
# to the last one, a block of length 0.
_GIF_TRAILER: Final = bytes([1, *range(255, -1, -1), 0])
_WEBP_HAS_XMP, _WEBP_HAS_ALPHA = 0x04, 0x10


class Texts(NamedTuple):
    """The texts in a file: that under the keyword and the XMP packet; None if absent."""

    text: bytes | None
    xmp: bytes | None


class NoRoomError(ValueError):
    """The format or the file cannot hold the texts."""


def insert(body: bytes, xmp: bytes, keyword: str = "", text: bytes = b"") -> bytes:
    """Return a picture file's bytes with an XMP packet and, in a PNG, a text under a keyword.

    The pixels are not encoded again.

    Args:
        body: a whole PNG, WebP, GIF or JPEG file that holds no XMP yet.
        xmp: the packet, UTF-8 without zero bytes.
        keyword: 1 to 79 Latin-1 characters; "" for no text.
        text: Latin-1 without zero bytes.

    Raises:
        NoRoomError: the file has another format, or a text is too long for the format.
    """
    if max(len(xmp), len(text)) > MAX_BYTES:
        raise NoRoomError(f"the text has over {MAX_BYTES:,} bytes")
    kind = _format_of(body[:12])
    if kind is None:
        raise NoRoomError("the file is no PNG, WebP, GIF or JPEG")
    if kind == "PNG":
        return _insert_png(body, xmp, keyword.encode("latin-1"), text)
    return {"GIF": _insert_gif, "WEBP": _insert_webp, "JPEG": _insert_jpeg}[kind](body, xmp)


def extract(file: BinaryIO, keyword: str) -> Texts:
    """Find the texts in a picture file; of a damaged file, those before the damage.

    Args:
        file: readable and seekable, at its start.
        keyword: as for `insert`.
    """
    kind = _format_of(file.read(12))
    file.seek(0)
    try:
        if kind == "PNG":
            return _extract_png(file, keyword.encode("latin-1"))
        if kind is not None:
            return Texts(
                None, {"GIF": _extract_gif, "WEBP": _extract_webp, "JPEG": _extract_jpeg}[kind](file)
            )
    except EOFError:
        pass
    return Texts(None, None)


def _format_of(head: bytes) -> str | None:
    """Return the format of a file by its first 12 bytes; None if it is another."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    return next((kind for start, kind in _STARTS.items() if head.startswith(start)), None)


# PNG (ISO/IEC 15948): chunks of a length, a type, data and a checksum.


def _insert_png(body: bytes, xmp: bytes, keyword: bytes, text: bytes) -> bytes:
    chunks = _make_png_chunk(b"tEXt", keyword + b"\0" + text) if keyword else b""
    # Not compressed, of no language, without a translated keyword.
    chunks += _make_png_chunk(b"iTXt", _PNG_XMP + b"\0\0\0\0\0" + xmp)
    after_header = len(_PNG) + 25
    return body[:after_header] + chunks + body[after_header:]


def _make_png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _extract_png(file: BinaryIO, keyword: bytes) -> Texts:
    file.seek(len(_PNG))
    text = xmp = None
    for _ in range(MAX_PIECES):
        try:
            length, kind = struct.unpack(">I4s", _read_exactly(file, 8))
            if kind in (b"tEXt", b"iTXt") and length <= MAX_BYTES + 100:
                name, _, rest = _read_exactly(file, length).partition(b"\0")
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


# GIF89a: extensions are a mark and blocks of up to 255 bytes, the last of them empty.


def _insert_gif(body: bytes, xmp: bytes) -> bytes:
    file = io.BytesIO(body)
    place = _skip_gif_header(file)
    # A repeat count must come first, and what belongs to the first frame after the text.
    while (piece := file.read(2)) in (b"!\xff", b"!\xfe"):
        _skip_gif_blocks(file)
        place = file.tell()
    if piece[:1] not in (b"!", b","):
        raise NoRoomError("the GIF holds no frame")
    while _end_of_gif_blocks(xmp + _GIF_TRAILER) != len(xmp) + len(_GIF_TRAILER):
        xmp += b" "  # so that a reader that follows blocks does not end one byte too soon
    extension = b"!\xff\x0b" + _GIF_XMP + xmp + _GIF_TRAILER
    return b"GIF89a" + body[6:place] + extension + body[place:]


def _skip_gif_header(file: BinaryIO) -> int:
    """Skip the header and the colour table; return the position."""
    header = _read_exactly(file, 13)
    file.seek(3 << ((header[10] & 7) + 1) if header[10] & 0x80 else 0, io.SEEK_CUR)
    return file.tell()


def _end_of_gif_blocks(data: bytes) -> int:
    """Return the position after the empty block, if bytes are read as blocks."""
    file = io.BytesIO(data)
    _skip_gif_blocks(file)
    return file.tell()


def _skip_gif_blocks(file: BinaryIO) -> None:
    for _ in range(MAX_PIECES):
        length = _read_exactly(file, 1)[0]
        if not length:
            return
        file.seek(length, io.SEEK_CUR)
    raise EOFError


def _extract_gif(file: BinaryIO) -> bytes | None:
    """Search before the first frame only: to search after it could take very long."""
    _skip_gif_header(file)
    for _ in range(MAX_PIECES):
        if file.read(1) != b"!":
            return None
        mark = _read_exactly(file, 1)
        start = file.tell()
        _skip_gif_blocks(file)
        end = file.tell()
        if mark == b"\xff" and end - start <= MAX_BYTES + 1000:
            file.seek(start)
            data = _read_exactly(file, end - start)
            if data[1:12] == _GIF_XMP:
                return data[12:].removesuffix(_GIF_TRAILER)
    return None


# WebP (RFC 9649): RIFF chunks; texts need the extended form, whose first chunk lists what follows.


def _insert_webp(body: bytes, xmp: bytes) -> bytes:
    chunks = list(_read_riff_chunks(io.BytesIO(body)))
    if not chunks:
        raise NoRoomError("the WebP file holds nothing")
    kind, at, length = chunks[0]
    head = body[at : at + length]
    if kind == b"VP8X":
        extended = bytes([head[0] | _WEBP_HAS_XMP]) + head[1:]
        rest = body[at + length + length % 2 :]
    else:
        width, height, alpha = _read_webp_size(kind, head)
        flags = _WEBP_HAS_XMP | (_WEBP_HAS_ALPHA if alpha else 0)
        sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        extended = bytes([flags, 0, 0, 0]) + sides
        rest = body[12:]
    content = b"WEBP" + _make_riff_chunk(b"VP8X", extended) + rest + _make_riff_chunk(b"XMP ", xmp)
    return _make_riff_chunk(b"RIFF", content)


def _read_webp_size(kind: bytes, head: bytes) -> tuple[int, int, bool]:
    """Return width, height and whether there is transparency, for a file with one chunk."""
    if kind == b"VP8L":
        bits = int.from_bytes(head[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", head[6:10])
        return width & 0x3FFF, height & 0x3FFF, False
    raise NoRoomError(f"the WebP file begins with an unknown chunk {kind!r}")


def _make_riff_chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _read_riff_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Return the type, position of the data and length of each chunk."""
    file.seek(12)
    for _ in range(MAX_PIECES):
        head = file.read(8)
        if len(head) < 8:
            return
        kind, length = struct.unpack("<4sI", head)
        at = file.tell()
        yield kind, at, length
        file.seek(at + length + length % 2)


def _extract_webp(file: BinaryIO) -> bytes | None:
    for kind, _, length in _read_riff_chunks(file):
        if kind == b"XMP " and length <= MAX_BYTES:
            return _read_exactly(file, length)
    return None


# JPEG (ITU-T T.81): segments of a marker and a length, up to the start of the scan.


def _insert_jpeg(body: bytes, xmp: bytes) -> bytes:
    if len(xmp) > MAX_JPEG_BYTES:
        raise NoRoomError(f"the packet has over {MAX_JPEG_BYTES:,} bytes, more than a JPEG takes")
    place = 2
    if body[2:4] == b"\xff\xe0":  # the JFIF header must come first
        place = 4 + int.from_bytes(body[4:6], "big")
    data = _JPEG_XMP + xmp
    segment = b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data
    return body[:place] + segment + body[place:]


def _extract_jpeg(file: BinaryIO) -> bytes | None:
    file.seek(2)
    for _ in range(MAX_PIECES):
        mark, kind, length = struct.unpack(">BBH", _read_exactly(file, 4))
        if mark != 0xFF or kind in (0xD9, 0xDA) or length < 2:
            return None
        if kind == 0xE1:
            data = _read_exactly(file, length - 2)
            if data.startswith(_JPEG_XMP):
                return data.removeprefix(_JPEG_XMP)
        else:
            file.seek(length - 2, io.SEEK_CUR)
    return None


def _read_exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise EOFError
    return data
