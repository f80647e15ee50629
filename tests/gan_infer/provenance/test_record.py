from __future__ import annotations

import contextlib
import dataclasses
import io
import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gan_infer import DataError, Generator, OptionError
from gan_infer.apps import verification
from gan_infer.outputs.image import encode, save
from gan_infer.provenance.record import DIGITAL_SOURCE_TYPE, KEYWORD, Provenance, attach, embed, packet, read
from gan_infer.provenance.xmp import extract, insert

SHA = "0123456789abcdef" * 4
DIGITS_SHA256 = "972f2a1fde40408c956da73c75cba877d019a2d98c63daef59b43fbc99c1463e"
NAMES = st.text(max_size=20)
WEIGHTS = st.floats(0, 1, allow_nan=False)
LABELS = st.one_of(NAMES, st.dictionaries(NAMES, WEIGHTS, max_size=4))


@st.composite
def records(draw: st.DrawFn) -> Provenance:
    seeds = tuple(draw(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=40)))
    alike = draw(st.booleans())
    labels = [draw(LABELS)] * len(seeds) if alike else [draw(LABELS) for _ in seeds]
    return Provenance(
        model=draw(NAMES),
        model_sha256=SHA,
        seeds=seeds,
        labels=tuple(draw(st.sampled_from([labels, []]))),
        psi=draw(st.floats(0, 2)),
        kind=draw(st.sampled_from(["picture", "sheet", "walk", "what comes one day"])),
        columns=draw(st.integers(0, 100)),
        scale=draw(st.integers(1, 1024)),
        more=draw(
            st.dictionaries(
                NAMES,
                st.one_of(NAMES, st.integers(-(2**63), 2**63), st.lists(WEIGHTS, max_size=3)),
                max_size=3,
            )
        ),
    )


@given(record=records())
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "JPEG"])
def test_what_was_written_is_read(
    kind: str, record: Provenance, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / f"record.{kind.lower()}"
    path.write_bytes(embed(encode(np.zeros((3, 4, 3), np.uint8), kind), record))
    assert read(path) == record


@given(record=records())
def test_a_record_is_one_line_of_ascii_and_its_packet_is_xml(record: Provenance) -> None:
    text = record.to_json()
    assert text.isascii()
    assert "\n" not in text
    root = ElementTree.fromstring(packet(record, with_record=True).encode())
    space = "{urn:ganforge:provenance:1/}record"
    assert [element.text for element in root.iter(space)] == [text]
    kinds = [element.text for element in root.iter() if element.tag.endswith("DigitalSourceType")]
    assert kinds == [DIGITAL_SOURCE_TYPE]


def test_a_packet_that_another_program_wrote_anew_is_read(tmp_path: Path) -> None:
    record = Provenance("a<b", SHA, (3,), ("R&B",))
    escaped = record.to_json().replace("&", "&#38;").replace("<", "&#x3c;").replace('"', "&quot;")
    xmp = f'<rdf:Description xmlns:ganforge="urn:ganforge:provenance:1/" ganforge:record="{escaped}"/>'
    body = encode(np.zeros((3, 4, 3), np.uint8), "JPEG")
    path = tmp_path / "x.jpg"
    path.write_bytes(insert(body, xmp.encode()))
    assert read(path) == record


def test_sheets_without_end_are_named_by_their_number(tmp_path: Path) -> None:
    record = Provenance("m", SHA, tuple(range(0, 400_000, 2)), kind="sheet", columns=100)
    path = tmp_path / "x.png"
    path.write_bytes(embed(encode(np.zeros((3, 4, 3), np.uint8), "PNG"), record))
    found = read(path)
    assert found is not None
    assert not found.complete
    assert (found.pictures, found.seeds, found.columns) == (200_000, (), 100)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"provenance": "2.0"}, "pip install --upgrade ganforge"),
        ({"provenance": None}, "for provenance"),
        ({"model": 3}, "for model"),
        ({"model_sha256": "zz"}, "without the SHA-256"),
        ({"seeds": "9-1"}, "unusable seeds"),
        ({"seeds": "0-99999999"}, "unusable seeds"),
        ({"seeds": [1]}, "for seeds"),
        ({"labels": ["a", "b", "c"]}, "3 labels for 2 seeds"),
        ({"labels": [3]}, "which is none"),
        ({"labels": [{"a": "b"}]}, "which is none"),
        ({"psi": 3}, "psi 3"),
        ({"psi": True}, "psi True"),
        ({"psi": float("nan")}, "no JSON"),
        ({"more": {"a": [float("inf")]}}, "no JSON"),
        ({"more": {"a": "\ud800"}}, "no JSON"),
        ({"more": {"a": 10**400}}, "no JSON"),
        ({"labels": [{"a": 10**400}]}, "no JSON"),
        ({"labels": [{"a": -1}]}, "which is none"),
        ({"scale": 1.0}, "scale 1.0"),
        ({"columns": True}, "columns True"),
        ({"model": "m" * 2000}, "2,000 characters for model"),
        ({"columns": -1}, "columns -1"),
        ({"scale": 10**9}, "scale 1000000000"),
        ({"more": []}, "for more"),
    ],
)
def test_records_that_are_none_are_refused(change: dict[str, object], said: str, tmp_path: Path) -> None:
    data = json.loads(Provenance("m", SHA, (1, 2), ("a", "b")).to_json()) | change
    path = written(tmp_path, json.dumps(data))
    with pytest.raises(DataError) as raised:
        read(path)
    assert str(raised.value).startswith(f"{path} carries")
    assert said in str(raised.value)


TWICE = Provenance("m", SHA, (1,)).to_json().replace('"seeds"', '"seeds":"2","seeds"')


@pytest.mark.parametrize("text", ["", "{", "3", "[" * 100_000, '{"provenance":"1.0"}', TWICE])
def test_texts_that_are_no_records_are_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        read(written(tmp_path, text))


@given(st.text())
def test_any_text_is_a_record_or_refused(text: str) -> None:
    with contextlib.suppress(DataError):
        Provenance.from_json(text)


def test_unknown_keys_are_ignored() -> None:
    record = Provenance("m", SHA, (1,))
    assert Provenance.from_json(json.dumps(json.loads(record.to_json()) | {"new": 1})) == record


def test_what_is_no_picture_is_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.png"):
        with pytest.raises(DataError, match=r"is no file|is not there"):
            read(path)
    (tmp_path / "text.png").write_text("no picture")
    assert read(tmp_path / "text.png") is None


def written(folder: Path, text: str) -> Path:
    path = folder / "x.png"
    body = encode(np.zeros((3, 4, 3), np.uint8), "PNG")
    path.write_bytes(insert(body, b"<x/>", KEYWORD, text.encode()))
    return path


# What the SDK wrote, kept as files: pictures of the digits of before stay what they are.

FILES = Path(__file__).parent / "files"
KEPT = {
    "four.gif": ("picture", (7,), ("4",)),
    "four.jpg": ("picture", (7,), ("4",)),
    "four.png": ("picture", (7,), ("4",)),
    "four.webp": ("picture", (7,), ("4",)),
    "grid.jpg": ("sheet", (0, 1, 2, 3), ("3",) * 4),
    "mix.webp": ("picture", (3,), ({"4": 0.699999988079071, "9": 0.30000001192092896},)),
    "signed.png": ("picture", (7,), ("4",)),
    "walk.gif": ("walk", (0, 5), ("3", "3")),
    "walk.png": ("walk", (0, 5), ("3", "3")),
    "walk.webp": ("walk", (0, 5), ("3", "3")),
}


@pytest.mark.parametrize("name", KEPT)
def test_a_kept_file_says_what_it_said_and_verifies(name: str, digits: Generator) -> None:
    record = read(FILES / name)
    assert record is not None
    assert (record.kind, record.seeds, record.labels) == KEPT[name]
    assert (record.model, record.model_sha256) == ("digits", DIGITS_SHA256)
    assert verification.verify(FILES / name, digits).result == verification.SAME


@pytest.mark.parametrize("kind", ["gif", "jpg", "png", "webp"])
def test_the_texts_of_a_kept_file_are_written_byte_for_byte(
    kind: str, digits: Generator, tmp_path: Path
) -> None:
    path, kept = tmp_path / f"four.{kind}", FILES / f"four.{kind}"
    record = read(kept)
    assert record is not None
    save(digits.sample(1, label="4", seed=7)[0], path, record)
    found = [extract(io.BytesIO(each.read_bytes()), KEYWORD) for each in (path, kept)]
    assert found[0] == found[1]
    assert found[0].xmp is not None


@pytest.fixture(scope="module")
def digits() -> Generator:
    return Generator.load("digits", device="cpu")


# What the SDK writes.


def test_a_saved_picture_says_where_it_is_from(conditional: Generator, tmp_path: Path) -> None:
    path = tmp_path / "nine.png"
    save(conditional.sample(1, label=9, seed=7)[0], path, conditional.provenance(7, 9))
    record = read(path)
    assert record == conditional.provenance(7, 9)
    assert (record.model, record.model_sha256) == (conditional.name, conditional.sha256)
    assert (record.seeds, record.labels) == ((7,), ("class 9",))
    with Image.open(path) as image:
        assert DIGITAL_SOURCE_TYPE in image.info["xmp"].decode()
        assert json.loads(image.info["ganforge"])["generated"] is True


def test_the_same_call_gives_the_same_bytes(conditional: Generator) -> None:
    picture = conditional.sample(1, label=1, seed=2)[0]
    first, second = (embed(encode(picture, "WEBP"), conditional.provenance(2, 1)) for _ in range(2))
    assert first == second


def test_attach_goes_into_a_file_that_is_there_or_leaves_it(conditional: Generator, tmp_path: Path) -> None:
    path = tmp_path / "x.gif"
    path.write_bytes(encode(conditional.sample(1, label=1, seed=2)[0], "GIF"))
    attach(path, conditional.provenance(2, 1))
    assert read(path) == conditional.provenance(2, 1)
    other = tmp_path / "x.bmp"
    Image.new("L", (4, 4)).save(other)
    before = other.read_bytes()
    with pytest.raises(OptionError, match="PNG"):
        attach(other, conditional.provenance(2, 1))
    assert other.read_bytes() == before


def test_without_lists_keeps_the_rest(conditional: Generator) -> None:
    record = conditional.grid_provenance(3, range(4), columns=2, scale=3)
    short = record.without_lists()
    assert short.pictures == 4
    assert not short.complete
    assert dataclasses.replace(short, seeds=record.seeds, labels=record.labels, pictures=0) == record
