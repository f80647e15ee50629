"""Bounds the work that a picture file can cause, by a walk through its structure before it is decoded.

The bounds count work (pixels, reads, scans, entries), not time, so that every machine and thread treats
a file the same.
"""

from __future__ import annotations

import dataclasses
import io
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

from gan_infer.errors import DataError

MAX_BYTES: Final = 1024**3
MAX_PIXELS: Final = 100_000_000
# With longer sides a row costs more than its pixels; no camera or scanner makes them.
MAX_SIDE: Final = 65_535
# A blank page may be compressed without limit; a large one is a decompression bomb.
_FREE_PIXELS: Final = 16_000_000
_MAX_PIXELS_PER_BYTE: Final = 200
# The same for pictures that are slow to decode and take more memory.
_FREE_DEEP_PIXELS: Final = 4_000_000
_MAX_DEEP_PIXELS_PER_BYTE: Final = 8

_HEADER_READS: Final = 20_000
_READS: Final = 500_000
_SPARE_BYTES: Final = 64 * 1024**2
_MAX_SCANS: Final = 100
_SCANS_OF_LARGE: Final = 24  # for more than _FEW_PIXELS; optimisers write fewer
_FEW_PIXELS: Final = 2_000_000
_MAX_SEGMENTS: Final = 2_000
_MAX_CHUNKS: Final = 2_000
_MAX_PACKED_CHUNKS: Final = 64
_MAX_UNPACKED: Final = 1024**2  # Pillow unpacks no more of a chunk
_MAX_ENTRIES: Final = 4_096
_MAX_TILES: Final = 100_000
_MAX_EXIF_BYTES: Final = 16 * 1024**2

_SAVE_AGAIN: Final = "save it again with a common program"
_MARKER: Final = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_SIZES: Final = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8)  # bytes of TIFF's types


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """What the walk through a file found that Pillow does not report.

    Attributes:
        bits: how many of a PNG's bits are significant, by its sBIT chunk; 0 if it does not say.
        dropped: what was removed from the file before decoding, "" for nothing.
        ended: a JPEG has its end marker; true of other files.
    """

    bits: int = 0
    dropped: str = ""
    ended: bool = True


class BoundedStream:
    """A stream for a decoder, with a limited number of reads and bytes.

    Attributes:
        facts: what the walk through the file found.
        size: the size of the file, in bytes.
    """

    def __init__(self, stream: BinaryIO, size: int, facts: Facts) -> None:
        self.facts = facts
        self.size = size
        self._stream = stream
        self._left = _HEADER_READS
        self._bytes_left = size + _SPARE_BYTES

    def read(self, size: int = -1) -> bytes:
        """Read bytes.

        Raises:
            DataError: after too many calls, or too many bytes.
        """
        self._left -= 1
        if self._left < 0:
            raise DataError(f"is made of too many small parts to be read; {_SAVE_AGAIN}")
        content = self._stream.read(size)
        self._bytes_left -= len(content)
        if self._bytes_left < 0:
            raise DataError(f"names the same bytes over and over; {_SAVE_AGAIN}")
        return content

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to another position."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._stream.tell()

    def close(self) -> None:
        """Do nothing: the owner closes the stream."""

    def flush(self) -> None:
        """Do nothing: the stream is only read."""

    def allow_pixels(self) -> None:
        """Allow as many reads as pixels may need; call it after the header was read."""
        self._left = _READS
        self._bytes_left = 4 * self.size + _SPARE_BYTES

    def content(self) -> bytes:
        """Return the whole file and keep the position."""
        place = self._stream.tell()
        self._stream.seek(0)
        content = self._stream.read()
        self._stream.seek(place)
        return content


def bound(stream: BinaryIO, size: int) -> BoundedStream:
    """Walk through a picture file of `size` bytes and return a bounded stream for decoding.

    Raises:
        DataError: it needs more work than an honest picture does; the message says what.
    """
    if size > MAX_BYTES:
        raise DataError(f"has {size:,} bytes; at most {MAX_BYTES:,} are read")
    stream.seek(0)
    first = stream.read(32)
    facts = Facts()
    if first.startswith(b"\x89PNG\r\n\x1a\n"):
        stream, facts = _walk_png(stream, size)
    elif first.startswith(b"\xff\xd8"):
        stream.seek(0)
        facts = Facts(ended=_walk_jpeg(stream.read()))
    elif first.startswith((b"II", b"MM")):
        _check_directory(_make_reader(stream), size, size + _MAX_EXIF_BYTES)
    elif first[:4] == b"RIFF" and first[8:12] == b"WEBP":
        _check_webp(first)
    stream.seek(0)
    return BoundedStream(stream, size, facts)


def is_tiff(stream: BinaryIO) -> bool:
    """Return whether a file begins as a TIFF does."""
    stream.seek(0)
    return stream.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def check_pixels(width: int, height: int, size: int, deep: bool) -> None:
    """Check the number of pixels of a picture.

    Args:
        size: the size of the file, in bytes.
        deep: whether it has more than 8 bits per channel.

    Raises:
        DataError: it has too many, too many for its size, or none.
    """
    if width * height > MAX_PIXELS:
        raise DataError(f"has {width}x{height} pixels; at most {MAX_PIXELS:,} are read")
    if not width * height:
        raise DataError("has no pixels")
    if max(width, height) > MAX_SIDE:
        raise DataError(f"has {width}x{height} pixels; sides of at most {MAX_SIDE:,} are read")
    free = _FREE_DEEP_PIXELS if deep else _FREE_PIXELS
    ratio = _MAX_DEEP_PIXELS_PER_BYTE if deep else _MAX_PIXELS_PER_BYTE
    if width * height > max(free, ratio * size):
        raise DataError(
            f"unpacks from {size:,} bytes to {width}x{height} pixels, more than {ratio} per byte; "
            "make the picture smaller if it is a real one"
        )


def check_codec(codec: str, pixels: int) -> None:
    """Check the number of pixels in a format that is slow to decode.

    Raises:
        DataError: there are too many.
    """
    if codec == "bmp_rle" and pixels > _FREE_DEEP_PIXELS:
        raise DataError(f"has {pixels:,} pixels in run lengths; at most {_FREE_DEEP_PIXELS:,} are read")


def orientation(exif: bytes) -> int:
    """Return the orientation that an EXIF block names, 1 to 8; 0 if it names none or is broken."""
    block = exif.removeprefix(b"Exif\0\0")
    try:
        for tag, kind, count, value in _read_entries(_make_reader(io.BytesIO(block))):
            if tag == 0x0112 and kind in (3, 4) and count == 1:
                number = value[0] if kind == 4 else value[1]
                return number if 1 <= number <= 8 else 0
    except (DataError, struct.error, KeyError):  # a picture is usable even if its EXIF is broken
        pass
    return 0


def _walk_png(stream: BinaryIO, size: int) -> tuple[BinaryIO, Facts]:
    """Walk through the chunks; drop those that unpack to more than Pillow reads."""
    kept, dropped, bits = [(0, 8)], list[str](), 0
    others = packed = 0
    for kind, start, length in _read_chunks(stream, size):
        whole = (start - 8, length + 12)
        others += kind not in (b"IDAT", b"fdAT", b"fcTL")
        if kind in (b"zTXt", b"iTXt", b"iCCP"):
            packed += 1
            stream.seek(start)
            if _unpacks_too_far(kind, stream.read(length)):
                dropped.append(kind.decode())
                continue
        elif kind == b"sBIT" and length:
            stream.seek(start)
            bits = max(stream.read(min(length, 3)))
        if others > _MAX_CHUNKS or packed > _MAX_PACKED_CHUNKS:
            raise DataError(f"holds thousands of chunks that are not pixels; {_SAVE_AGAIN}")
        kept.append(whole)
    if not dropped:
        return stream, Facts(bits)
    parts = io.BytesIO()
    for at, length in kept:
        stream.seek(at)
        parts.write(stream.read(length))
    what = "a colour profile" if "iCCP" in dropped else "a text"
    return parts, Facts(bits, f"{what} of more than {_MAX_UNPACKED:,} bytes")


def _read_chunks(stream: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield a PNG's chunks as (kind, start of the content, its length), up to the end of the file."""
    at = 8
    for _ in range(_READS):
        stream.seek(at)
        head = stream.read(8)
        length = int.from_bytes(head[:4], "big")
        if len(head) < 8 or at + 12 + length > size:
            break
        yield head[4:], at + 8, length
        at += 12 + length
    else:
        raise DataError(f"is made of too many small parts to be read; {_SAVE_AGAIN}")
    if len(head) == 8 or head:  # the decoder reports a file that is cut short
        yield head[4:], at + 8, size - at - 8


def _unpacks_too_far(kind: bytes, content: bytes) -> bool:
    rest = content.partition(b"\0")[2]
    if kind == b"iTXt":
        if len(content) > _MAX_UNPACKED:
            return True
        if rest[:1] != b"\1":
            return False
        rest = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    else:
        rest = rest[1:]
    unpacking = zlib.decompressobj()
    try:
        unpacking.decompress(rest, _MAX_UNPACKED)
        return bool(unpacking.unconsumed_tail and unpacking.decompress(unpacking.unconsumed_tail, 1))
    except zlib.error:  # the decoder reports what is damaged
        return len(content) > _MAX_UNPACKED


def _walk_jpeg(content: bytes) -> bool:
    """Count scans and segments of the first picture, check its EXIF, and return whether it has an end."""
    at, scans, segments, pixels, exif = 2, 0, 0, 0, b""
    while (found := _MARKER.search(content, at)) is not None and content[found.end() - 1] != 0xD9:
        at = found.end()
        marker = content[at - 1]
        if marker in (0x01, 0xD8):
            continue
        length = int.from_bytes(content[at : at + 2], "big")
        if marker == 0xDA:
            scans += 1
        else:
            segments += 1
        if marker == 0xE1 and content[at + 2 : at + 8] == b"Exif\0\0":
            exif += content[at + 8 : at + length]
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", content[at + 3 : at + 7].ljust(4, b"\0"))
            pixels = height * width
        if marker == 0xE2 and content[at + 2 : at + 6] == b"MPF\0":
            _check_directory(_make_reader(io.BytesIO(content[at + 6 : at + length])), length, _MAX_EXIF_BYTES)
        if scans > (_MAX_SCANS if pixels <= _FEW_PIXELS else _SCANS_OF_LARGE):
            raise DataError(f"is a JPEG of {pixels:,} pixels in over {scans - 1} scans; {_SAVE_AGAIN}")
        if segments > _MAX_SEGMENTS:
            raise DataError(f"is a JPEG of more than {_MAX_SEGMENTS:,} segments; {_SAVE_AGAIN}")
        at += length
    if exif:
        _check_directory(_make_reader(io.BytesIO(exif)), len(exif), _MAX_EXIF_BYTES)
    return found is not None


def _check_webp(first: bytes) -> None:
    """Check a WebP by the size in its header: its decoder allocates memory before it reports a size."""
    kind = first[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(first[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L":
        packed = int.from_bytes(first[21:25], "little")
        width, height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    else:
        width, height = (int.from_bytes(first[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    if width * height > MAX_PIXELS:
        raise DataError(f"has {width}x{height} pixels; at most {MAX_PIXELS:,} are read")


_Read = Callable[[int, int], bytes]
_Entry = tuple[int, int, int, tuple[int, int]]


def _make_reader(stream: BinaryIO) -> _Read:
    def read(at: int, length: int) -> bytes:
        stream.seek(at)
        return stream.read(length)

    return read


def _check_directory(read: _Read, size: int, most: int) -> None:
    """Check the number and size of entries in a TIFF directory; the decoder reports a broken one.

    Raises:
        DataError: it names more bytes than `most`, or too many entries or tiles.
    """
    claimed = 0
    try:
        for tag, kind, count, _ in _read_entries(read):
            claimed += min(size, count * (_SIZES[kind] if kind < len(_SIZES) else 0))
            if tag in (273, 324) and count > _MAX_TILES:
                raise DataError(f"is cut into {count:,} strips or tiles; at most {_MAX_TILES:,} are read")
            if claimed > most:
                raise DataError(
                    f"has a directory of tags that name {claimed:,} bytes and more; {_SAVE_AGAIN}"
                )
    except (struct.error, KeyError):
        return


def _read_entries(read: _Read) -> Iterator[_Entry]:
    """Yield (tag, type, count, (value as 32 bits, as 16)) of the first directory."""
    head = read(0, 16)
    order = {b"II": "<", b"MM": ">"}[head[:2]]
    (version,) = struct.unpack(order + "H", head[2:4])
    large = version == 43
    (at,) = struct.unpack(order + ("Q" if large else "L"), head[8:16] if large else head[4:8])
    length, entry = (8, 20) if large else (2, 12)
    (count,) = struct.unpack(order + ("Q" if large else "H"), read(at, length))
    body = read(at + length, min(count, _MAX_ENTRIES + 1) * entry)
    if len(body) > _MAX_ENTRIES * entry:
        raise DataError(f"has a directory of {count:,} tags; at most {_MAX_ENTRIES:,} are read")
    for place in range(0, len(body) - entry + 1, entry):
        tag, kind = struct.unpack_from(order + "HH", body, place)
        (number,) = struct.unpack_from(order + ("Q" if large else "L"), body, place + 4)
        value = place + (12 if large else 8)
        yield (
            tag,
            kind,
            number,
            (
                *struct.unpack_from(order + "L", body, value),
                *struct.unpack_from(order + "H", body, value),
            ),
        )
