"""One set of pictures in many formats gives the same arrays; what was taken for granted is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from gan_infer.errors import DataError, OptionError
from gan_train import data
from gan_train.config.options import Config, DataOptions, from_tree, replace
from gan_train.data import held_out, report
from gan_train.data.pictures import PictureSet
from gan_train.planning import budget
from tests.picture_files import ADOBE_RGB, chunk, encoded, png

COUNT = 12
COLOUR = np.random.default_rng(0).integers(0, 256, (COUNT, 16, 16, 3), dtype=np.uint8)
COLOUR[:, 0, 0], COLOUR[:, 0, 1] = 0, 255
GREY = COLOUR[..., 0].copy()
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
OPAQUE = np.full((16, 16, 1), 65535)

Encode = Callable[[np.ndarray], bytes]


def load(source: object, **options: object) -> PictureSet:
    return data.load(DataOptions(source=str(source), **options))  # type: ignore[arg-type]


def put(folder: Path, encode: Encode, pictures: np.ndarray, suffix: str = ".png") -> Path:
    folder.mkdir(exist_ok=True)
    for index, picture in enumerate(pictures):
        (folder / f"{index:02}{suffix}").write_bytes(encode(picture))
    return folder


def by_pillow(kind: str, **options: object) -> Encode:
    return lambda picture: encoded(Image.fromarray(picture), kind, **options)


def scaled(white: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda picture: np.round(picture * (white / 255)).astype(np.uint16)


def deep_png(white: int, before: bytes = b"", alpha: bool = False) -> Encode:
    def encode(picture: np.ndarray) -> bytes:
        values = scaled(white)(picture)
        return png(np.dstack([values, OPAQUE]).astype(np.uint16) if alpha else values, before)

    return encode


def deep_tiff(dtype: str, scale: float, low: float = 0, **options: object) -> Encode:
    return lambda picture: encoded(
        Image.fromarray((picture.astype(float) * scale + low).astype(dtype)), "TIFF", **options
    )


def pgm(picture: np.ndarray) -> bytes:
    return b"P5\n# a scanner's\n16 16\n4095\n" + scaled(4095)(picture).astype(">u2").tobytes()


def plain_map(picture: np.ndarray) -> bytes:
    return b"P3\n16 16 # comment\n255\n" + b" ".join(b"%d" % value for value in picture.reshape(-1))


IN_COLOUR: dict[str, tuple[str, Encode, str]] = {
    "webp": (".webp", by_pillow("WEBP", lossless=True), ""),
    "bmp": (".bmp", by_pillow("BMP"), ""),
    "tiff": (".tif", by_pillow("TIFF", compression="tiff_lzw"), ""),
    "ppm": (".ppm", by_pillow("PPM"), ""),
    "plain ppm": (".ppm", plain_map, ""),
    "with a profile": (".png", by_pillow("PNG", icc_profile=SRGB), ""),
    "16 bits": (".png", deep_png(65535), "0:65535"),
    "12 bits in 16": (".png", deep_png(4095), "0:4095"),
    "10 bits in 16": (".png", deep_png(1023), "0:1023"),
    "8 bits in 16": (".png", deep_png(255), "0:255"),
    "8 bits in the upper byte": (".png", lambda picture: png(picture.astype(np.uint16) << 8), "0:65280"),
    "12 bits, said": (".png", deep_png(4095, chunk(b"sBIT", b"\x0c\x0c\x0c")), "0:4095"),
    "12 bits with alpha": (".png", deep_png(4095, alpha=True), "0:4095"),
}
IN_GREY: dict[str, tuple[str, Encode, str]] = {
    "12 bits in 16": (".png", deep_png(4095), "0:4095"),
    "14 bits, said": (".png", deep_png(16383, chunk(b"sBIT", b"\x0e")), "0:16383"),
    "12 bits with alpha": (".png", deep_png(4095, alpha=True), "0:4095"),
    "12-bit pgm": (".pgm", pgm, ""),
    "16-bit tiff": (".tif", deep_tiff("uint16", 257), "0:65535"),
    "big-endian tiff": (".tif", deep_tiff(">u2", 257), "0:65535"),
    "white is zero": (
        ".tif",
        lambda picture: deep_tiff("uint16", 257, tiffinfo={262: 0})(255 - picture),
        "0:65535",
    ),
    "32-bit tiff": (".tif", deep_tiff("int32", 257), "0:65535"),
    "pfm": (
        ".pfm",
        lambda picture: (
            f"Pf\n{picture.shape[1]} {picture.shape[0]}\n-1\n".encode()
            + (picture[::-1] / 255).astype("<f4").tobytes()
        ),
        "0:1",
    ),
    "floats to 1": (".tif", deep_tiff("float32", 1 / 255), "0:1"),
    "floats to 255": (".tif", deep_tiff("float32", 1), "0:255"),
    "floats from -1": (".tif", deep_tiff("float32", 2 / 255, -1), "-1:1"),
}


@pytest.mark.parametrize("name", IN_COLOUR)
def test_a_set_in_colour_is_the_same_in_every_format(name: str, tmp_path: Path) -> None:
    suffix, encode, value_range = IN_COLOUR[name]
    found = load(put(tmp_path / "set", encode, COLOUR, suffix), channels=3)
    assert np.array_equal(found.images, COLOUR)
    assert found.value_range == value_range
    assert found.sha256() == load(put(tmp_path / "plain", by_pillow("PNG"), COLOUR)).sha256()


@pytest.mark.parametrize("name", IN_GREY)
def test_a_set_in_grey_is_the_same_in_every_format(name: str, tmp_path: Path) -> None:
    suffix, encode, value_range = IN_GREY[name]
    found = load(put(tmp_path / "set", encode, GREY, suffix))
    assert np.array_equal(found.images[..., 0], GREY)
    assert found.value_range == value_range


def test_the_range_is_settled_once_for_all_pictures(tmp_path: Path) -> None:
    pictures = np.stack([np.full((16, 16), index / 11, np.float32) for index in range(COUNT)])
    pictures[11] = 1.001
    pictures[0, 0, 0] = np.nan
    folder = put(tmp_path / "set", by_pillow("TIFF"), pictures, ".tif")
    found = load(folder)
    assert found.images[:, 8, 8, 0].tolist() == [round(255 * index / 11) for index in range(COUNT)]
    assert "values 0:1 taken as black and white" in found.preparation
    told = " ".join(found.warnings)
    assert "12 pictures have more than 8 bits" in told
    assert "1 pictures hold values that are no finite numbers" in told
    dark = put(
        tmp_path / "dark", by_pillow("TIFF"), np.concatenate([pictures[:1] * 0, 200 * pictures[1:]]), ".tif"
    )
    assert load(dark).images[0].max() == 0


def test_another_range_is_other_data_and_has_a_cache_of_its_own(tmp_path: Path) -> None:
    folder = put(tmp_path / "set", deep_png(4095), GREY)
    settled, dim = load(folder), load(folder, value_range="0:65535")
    assert dim.images.max() == 16
    assert dim.sha256() != settled.sha256()
    assert np.array_equal(load(folder).images, settled.images)
    assert np.array_equal(load(folder, value_range="0:4095").images, settled.images)
    assert np.array_equal(load(folder, value_range="0:65535").images, dim.images)
    assert "as asked" in " ".join(dim.warnings)
    plain = put(tmp_path / "plain", by_pillow("PNG"), GREY)
    assert np.array_equal(load(plain, value_range="0:15").images[..., 0], GREY)
    assert "--value-range 0:15 changes nothing" in " ".join(load(plain, value_range="0:15").warnings)
    with pytest.raises(OptionError, match="value range"):
        load(folder, value_range="15")


def test_values_of_no_usual_range_are_refused_once_with_what_to_type(tmp_path: Path) -> None:
    scans = (GREY.astype(np.int32) * 16 - 1024).astype(np.int32)
    folder = put(tmp_path / "set", by_pillow("TIFF"), scans, ".tif")
    with pytest.raises(DataError, match=r"values from -1024 to 3056 .*--value-range=-1024:3056") as caught:
        load(folder)
    assert "\n" not in str(caught.value)
    refused = report.check(DataOptions(source=str(folder)))
    assert (refused.accepted, refused.pictures) == (False, COUNT)
    assert "--value-range" in refused.verdict
    assert np.array_equal(load(folder, value_range="-1024:3056").images[..., 0], GREY)


def test_a_run_keeps_its_range_and_gives_it_to_pictures_that_were_held_out(tmp_path: Path) -> None:
    put(tmp_path / "train", deep_png(4095), GREY)
    put(tmp_path / "test", deep_png(900), GREY)
    wanted = replace(Config(), {"data.source": str(tmp_path / "train"), "budget.images": 100})
    settled = budget.settle(wanted, load(tmp_path / "train"))
    assert settled.data.value_range == "0:4095"
    beside = held_out.find_beside(settled.data)
    assert beside is not None
    assert data.load(beside).value_range == "0:4095"
    assert load(tmp_path / "test").value_range == "0:1023"


def test_a_config_of_an_older_version_has_no_range_of_its_own(tmp_path: Path) -> None:
    tree = json.loads(Config().to_json())
    assert tree["data"].pop("value_range") == "auto"
    assert from_tree(tree, Config) == Config()
    with pytest.raises(OptionError, match=r"option data.value_range: .*'x'"):
        replace(Config(), {"data.value_range": "x"})


def test_the_report_says_what_was_taken(tmp_path: Path) -> None:
    found = report.check(DataOptions(source=str(put(tmp_path / "set", deep_png(4095), GREY))))
    assert found.accepted
    assert found.value_range == "0:4095"
    assert "values 0:4095" in found.preparation
    assert any("--value-range LOW:HIGH says otherwise" in note for note in found.notes)


def test_what_a_person_should_know_of_pictures_is_said(tmp_path: Path) -> None:
    def notes(
        name: str, encode: Encode, pictures: np.ndarray, suffix: str = ".png", **options: object
    ) -> str:
        folder = put(tmp_path / name, encode, pictures, suffix)
        found = load(folder, **options)
        told = report.check(DataOptions(source=str(folder), **options))  # type: ignore[arg-type]
        assert set(found.warnings) <= set(told.notes)
        return " | ".join(found.warnings)

    assert notes("usual", by_pillow("PNG"), COLOUR) == ""
    in_three = GREY[..., None].repeat(3, -1)
    assert "--channels 1 learns the same" in notes("grey", by_pillow("PNG"), in_three)
    assert notes("asked", by_pillow("PNG"), in_three, channels=3) == ""
    assert "12 pictures are of one colour all over" in notes("flat", by_pillow("PNG"), 0 * COLOUR)
    assert "12 pictures have half of 32x32" in notes("small", by_pillow("PNG"), COLOUR, height=32, width=32)
    profiled = notes("profile", by_pillow("PNG", icc_profile=ADOBE_RGB), COLOUR)
    assert "12 pictures had a colour profile and were turned into sRGB (00.png, 01.png, 02.png)" in profiled
    frames = [Image.fromarray(picture) for picture in COLOUR]
    moving = by_pillow("PNG", save_all=True, append_images=frames[:2])
    assert "12 pictures are animations or have several pages" in notes("moving", moving, COLOUR)
    cut = notes("cut", lambda picture: by_pillow("JPEG")(picture)[:-1], COLOUR, ".jpg")
    assert "12 pictures are JPEGs whose end is missing, but show whole" in cut
    clear = np.dstack([COLOUR[0], 0 * GREY[0]])[None].repeat(COUNT, 0)
    assert "so they are learnt as white" in notes("clear", by_pillow("PNG"), clear)
    (tmp_path / "usual" / "00.png").write_bytes(encoded(Image.new("RGB", (16, 24), (1, 2, 3))))
    assert "pictures are of 2 sizes; all become 64x64" in " ".join(load(tmp_path / "usual").warnings)
