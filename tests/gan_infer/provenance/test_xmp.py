from __future__ import annotations

import io
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageSequence
from PIL.PngImagePlugin import PngInfo

from gan_infer.provenance.xmp import MAX_BYTES, MAX_JPEG_BYTES, NoRoomError, extract, insert

KEYWORD = "about"
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=400)
# Name -> what Pillow is told to write it.
STILL: dict[str, dict[str, Any]] = {
    "png": {},
    "gif": {},
    "webp": {"lossless": True},
    "webp-lossy": {"quality": 80},
    "jpeg": {"quality": 80},
}
MOVING = ("png", "gif", "webp")


def picture(kind: str, mode: str = "RGB", frames: int = 1, **more: Any) -> bytes:
    generator = np.random.default_rng(frames)
    channels = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
    shown = [
        Image.fromarray(generator.integers(0, 256, (9, 13, channels), np.uint8).squeeze()).convert(mode)
        for _ in range(frames)
    ]
    file = io.BytesIO()
    options = STILL[kind] | more
    if frames > 1:
        options |= {"save_all": True, "append_images": shown[1:], "duration": 40, "loop": 0}
    shown[0].save(file, kind.split("-", maxsplit=1)[0], **options)
    return file.getvalue()


def pixels(body: bytes) -> list[bytes]:
    with Image.open(io.BytesIO(body)) as image:
        return [frame.convert("RGBA").tobytes() for frame in ImageSequence.Iterator(image)]


CASES = [
    (kind, mode, 1) for kind in STILL for mode in ("L", "RGB", "RGBA") if (kind, mode) != ("jpeg", "RGBA")
]
CASES += [(kind, mode, 4) for kind in MOVING for mode in ("L", "RGB", "RGBA")]


@pytest.mark.parametrize(("kind", "mode", "frames"), CASES)
@given(xmp=TEXT, text=TEXT)
def test_texts_come_back_and_pixels_stay(kind: str, mode: str, frames: int, xmp: str, text: str) -> None:
    body = picture(kind, mode, frames)
    full = insert(body, xmp.encode(), KEYWORD, text.encode())
    found = extract(io.BytesIO(full), KEYWORD)
    assert found.xmp is not None
    # A packet may end in white space that its place needs.
    assert found.xmp.decode().rstrip() == xmp.rstrip()
    assert found.text == (text.encode() if kind == "png" else None)
    assert extract(io.BytesIO(body), KEYWORD) == (None, None)
    assert pixels(full) == pixels(body)


PILLOW_WRITES = [case for case in CASES if case[0] != "gif"]


@pytest.mark.parametrize(("kind", "mode", "frames"), PILLOW_WRITES)
@settings(max_examples=10)
@given(xmp=TEXT.filter(bool), text=TEXT)
def test_the_bytes_are_those_that_pillow_writes(
    kind: str, mode: str, frames: int, xmp: str, text: str
) -> None:
    options: dict[str, Any] = {"xmp": xmp.encode()}
    if kind == "png":
        options = {"pnginfo": PngInfo()}
        options["pnginfo"].add_text(KEYWORD, text)
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp)
    assert insert(picture(kind, mode, frames), xmp.encode(), KEYWORD, text.encode()) == picture(
        kind, mode, frames, **options
    )


@pytest.mark.parametrize("kind", STILL)
def test_pillow_finds_the_packet_where_the_format_has_it(kind: str) -> None:
    full = insert(picture(kind), b"<x/>", KEYWORD, b"text")
    with Image.open(io.BytesIO(full)) as image:
        image.load()
        if kind == "gif":  # Pillow names the extension there and leaves it at that
            assert image.info["extension"][0] == b"XMP DataXMP"
        else:
            assert image.info["xmp"].rstrip(b" ") == b"<x/>"
        if kind == "png":
            assert image.info[KEYWORD] == "text"


@pytest.mark.parametrize("kind", STILL)
@given(data=st.data())
def test_cut_and_changed_files_give_what_is_left_and_no_more(kind: str, data: st.DataObject) -> None:
    body = bytearray(insert(picture(kind), b"<packet/>", KEYWORD, b"text"))
    for _ in range(data.draw(st.integers(0, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(body[: data.draw(st.integers(0, len(body)))])
    found = extract(io.BytesIO(cut), KEYWORD)
    assert len(found.text or b"") + len(found.xmp or b"") <= len(cut)


@given(
    st.binary(max_size=200),
    st.sampled_from([b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBP", b"\xff\xd8"]),
)
def test_any_bytes_behind_a_files_first_ones_are_read_without_harm(rest: bytes, head: bytes) -> None:
    extract(io.BytesIO(head + rest), KEYWORD)


class Watched(io.BytesIO):
    """A file that counts what is read of it."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


@pytest.mark.parametrize("kind", ["png", "gif", "webp", "jpeg"])
def test_no_more_is_read_than_one_may_hold(kind: str) -> None:
    long = b"x" * (MAX_BYTES + 1)
    with pytest.raises(NoRoomError):
        insert(picture(kind), long)
    body = bytearray(picture(kind))
    if kind == "png":
        # A chunk of text that says that it is of 2 GiB.
        body[33:33] = b"\x7f\xff\xff\xfftEXt" + b"about\0" + b"x" * 5000
    file = Watched(bytes(body) + b"x" * 3_000_000)
    extract(file, KEYWORD)
    assert file.taken < MAX_BYTES


def test_other_files_have_no_room() -> None:
    for body in (b"", b"BM" + b"\0" * 60, b"%PDF-1.7"):
        with pytest.raises(NoRoomError):
            insert(body, b"<x/>")
    with pytest.raises(NoRoomError, match="more than a JPEG takes"):
        insert(picture("jpeg"), b"x" * (MAX_JPEG_BYTES + 1))


def test_a_png_with_a_packet_is_still_sound_xml() -> None:
    full = insert(picture("png"), "<a>é</a>".encode(), KEYWORD, b"")
    found = extract(io.BytesIO(full), KEYWORD).xmp
    assert found is not None
    assert ElementTree.fromstring(found.decode()).text == "é"
