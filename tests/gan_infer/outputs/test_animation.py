from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_infer import OptionError, cli
from gan_infer.models.generator import Generator
from gan_infer.outputs import animation
from tests.conftest import CommandLine, Run


def frames(channels: int = 1, count: int = 6, height: int = 20, width: int = 16) -> np.ndarray:
    """Return frames that all differ, with few colours, so that a palette holds them."""
    result = np.zeros((count, height, width, channels), np.uint8)
    for index in range(count):
        result[index, index : index + 8, 2:9] = 40 * index + 15
    if channels == 4:
        result[..., 3] = 255
    return result


def read(path: Path, mode: str) -> tuple[list[np.ndarray], list[int]]:
    with Image.open(path) as picture:
        shown, durations = [], []
        for index in range(getattr(picture, "n_frames", 1)):
            picture.seek(index)
            picture.load()
            shown.append(np.asarray(picture.convert(mode)))
            durations.append(round(picture.info["duration"]))
        assert picture.info["loop"] == 0
        return shown, durations


@pytest.mark.parametrize("ending", [".gif", ".webp", ".png"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_frame_comes_back_as_it_was_and_as_long(tmp_path: Path, ending: str, channels: int) -> None:
    wanted = frames(channels)
    path = tmp_path / f"moving{ending}"
    animation.write(iter(wanted), path, rate=20)
    shown, durations = read(path, {1: "L", 3: "RGB", 4: "RGBA"}[channels])
    assert durations == [50] * 6
    # A palette of colours with transparency is Pillow's quickest, which rounds colours.
    most = 16 if ending == ".gif" and channels == 4 else 0
    for got, frame in zip(shown, wanted, strict=True):
        assert abs(got.reshape(frame.shape).astype(int) - frame).max() <= most
    assert list(tmp_path.iterdir()) == [path]


def test_frames_are_taken_one_after_another(tmp_path: Path) -> None:
    alive: list[int] = []

    def give() -> Iterator[np.ndarray]:
        for index, frame in enumerate(frames(3)):
            alive.append(index)
            yield frame

    animation.write(give(), tmp_path / "moving.webp")
    assert alive == list(range(6))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the reader's pipes
def test_an_mp4_has_the_frames_to_a_few_levels(tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    wanted = frames(1, height=31, width=45)  # odd sides are filled up
    animation.write(wanted, tmp_path / "moving.mp4", rate=10)
    reader = ffmpeg.read_frames(str(tmp_path / "moving.mp4"))
    facts = next(reader)
    assert facts["size"] == (46, 32)
    assert facts["fps"] == 10
    shown = [np.frombuffer(raw, np.uint8).reshape(32, 46, 3) for raw in reader]
    for got, frame in zip(shown, wanted, strict=True):
        assert abs(got[:31, :45].astype(int) - frame).mean() < 4


def test_an_mp4_without_its_writer_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(OptionError, match=r"ganforge\[video\]"):
        animation.format_of(tmp_path / "moving.mp4")


def test_a_writer_of_mp4_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> Iterator[None]:
        for _ in range(10):
            yield

    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", types.SimpleNamespace(write_frames=fails))
    with pytest.raises(OptionError, match="wrote no MP4"):
        animation.write(frames(), tmp_path / "moving.mp4")

    def breaks(*_: object, **__: object) -> Iterator[None]:
        yield
        yield
        raise OSError("Broken pipe\n\nFFMPEG COMMAND: ...")

    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", types.SimpleNamespace(write_frames=breaks))
    with pytest.raises(OptionError, match=r"failed: Broken pipe$"):
        animation.write(frames(), tmp_path / "moving.mp4")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wrong in ("moving.jpg", "moving"):
        with pytest.raises(OptionError, match=r"\.gif, \.webp, \.png, \.mp4"):
            animation.write(frames(), tmp_path / wrong)
    for rate in (0, -1, 51, float("nan")):
        with pytest.raises(OptionError, match="frames per second"):
            animation.write(frames(), tmp_path / "moving.gif", rate)
    with pytest.raises(OptionError, match="no frames"):
        animation.write([], tmp_path / "moving.gif")
    tall = np.zeros((70_000, 2, 1), np.uint8)
    for ending in (".gif", ".webp", ".mp4"):
        with pytest.raises(OptionError, match="2x70000 pixels are too many"):
            animation.write([tall], tmp_path / f"moving{ending}")
    monkeypatch.setattr(animation, "MAX_FRAMES", 5)
    with pytest.raises(OptionError, match="more than 5 frames"):
        animation.write(frames(count=6), tmp_path / "moving.gif")
    monkeypatch.undo()

    def broken() -> Iterator[np.ndarray]:
        yield from frames()
        raise KeyboardInterrupt

    for ending in (".gif", ".webp", ".png"):
        with pytest.raises(KeyboardInterrupt):
            animation.write(broken(), tmp_path / f"moving{ending}")
    assert not list(tmp_path.iterdir())


# The commands.


@pytest.fixture
def infer(command_line: CommandLine) -> Run:
    return command_line("gan-infer", cli.main)


@pytest.mark.parametrize("ending", ["gif", "webp", "png"])
def test_walk_writes_an_animation_of_the_wanted_length(infer: Run, ending: str) -> None:
    to = f"walk.{ending}"
    arguments = ("--seeds", "1-3", "--label", 4, "--seconds", 1, "--rate", 10, "--to", to)
    assert infer("walk", *arguments) == (0, f"{to}\n", "")
    shown, durations = read(Path(to), "L")
    assert durations == [100] * 10
    first = Generator.load("digits", device="cpu").sample(1, label=4, seed=1)[0, :, :, 0]
    assert np.array_equal(shown[0][2::5, 2::5], first)


def test_morph_goes_there_and_back(infer: Run) -> None:
    arguments = (
        "--from-label",
        3,
        "--to-label",
        8,
        "--seed",
        5,
        "--seconds",
        1,
        "--rate",
        8,
        "--to",
        "morph.png",
    )
    assert infer("morph", *arguments) == (0, "morph.png\n", "")
    shown, _ = read(Path("morph.png"), "L")
    generator = Generator.load("digits", device="cpu")
    for index, label in ((0, 3), (4, 8)):
        assert np.array_equal(shown[index][::5, ::5], generator.sample(1, label, 5)[0, :, :, 0])
    assert np.array_equal(shown[1], shown[7])


def test_a_sheet_takes_the_place_of_an_animation(infer: Run) -> None:
    assert infer("walk", "--sheet", 20, "--scale", 1, "--to", "walk.png")[0] == 0
    with Image.open("walk.png") as sheet:
        assert sheet.size == (16 * 30 + 2, 2 * 30 + 2)
    assert (
        infer("morph", "--from-label", 3, "--to-label", 8, "--sheet", 3, "--scale", 1, "--to", "m.jpg")[0]
        == 0
    )
    with Image.open("m.jpg") as sheet:
        assert sheet.size == (3 * 30 + 2, 32)


def test_edit_lays_each_direction_in_a_row(infer: Run) -> None:
    chosen = ("--direction", "thickness", "--direction", 2)
    done = infer(
        "edit", "--seed", 7, *chosen, "--range", "-2:2", "--steps", 5, "--scale", 1, "--to", "strip.png"
    )
    assert done == (0, "strip.png\n", "rows, from the top: thickness, direction2\n")
    generator = Generator.load("digits", device="cpu")
    with Image.open("strip.png") as opened:
        sheet = np.asarray(opened)
    assert sheet.shape == (62, 152)
    wanted = generator.edit(7, None, {"thickness": [-2, 0, 2]})
    for column, picture in zip((0, 2, 4), wanted, strict=True):
        left = 2 + 30 * column
        assert np.array_equal(sheet[2:30, left : left + 28], picture[:, :, 0])
    code, _, said = infer("edit", "--scale", 1)
    assert (code, said) == (0, f"rows, from the top: {', '.join(generator.directions)}\n")
    with Image.open("edit.png") as whole:
        assert whole.size == (7 * 30 + 2, len(generator.directions) * 30 + 2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("edit", "--direction", "smile"), "no direction 'smile'"),
        (("edit", "--range", "3"), "-3:3"),
        (("edit", "--label", "4:2,x:1"), "no class"),
        (("edit", "--to", "strip.txt"), "ending"),
        (("edit", "--seed", "-1"), "seed -1"),
        (("walk", "--to", "walk.jpg"), "ending"),
        (("walk", "--to", "walk.mp4", "--sheet", "3"), "sheet"),
        (("walk", "--seeds", "8-1", "--to", "walk.gif"), "backwards"),
        (("walk", "--label", "4:0.5,9", "--to", "walk.gif"), "does not parse"),
        (("walk", "--psi", "3", "--to", "walk.gif"), "psi"),
        (("walk", "--seconds", "600", "--rate", "50", "--to", "walk.gif"), "30,000 frames; at most 20,000"),
        (("walk", "--sheet", "10000", "--to", "sheet.webp"), "too many for WEBP"),
        (("edit", "--steps", "1000", "--scale", "1", "--to", "strip.webp"), "too many for WEBP"),
        (("morph", "--from-label", "3", "--to-label", "x", "--to", "m.gif"), "no class"),
        (("grid", "--psi", "-1"), "psi"),
        (("sample", "1", "--label", "4:1,4:1", "--to", "out"), "twice"),
    ],
)
def test_wrong_use_is_one_line_and_nothing_is_written(
    infer: Run, arguments: tuple[str, ...], said: str
) -> None:
    code, out, err = infer(*arguments)
    assert (code, out) == (1, "")
    assert said in err
    assert err.count("\n") == 1
    assert not list(Path().iterdir())


@pytest.mark.parametrize("seconds", ["0", "nan", "inf", "601"])
def test_a_time_out_of_range_is_wrong_use(infer: Run, seconds: str) -> None:
    code, _, err = infer("walk", "--seconds", seconds, "--to", "walk.gif")
    assert code == 2
    assert "is not in the range 0<x<=600" in err


def test_where_nothing_can_be_written_is_told_before_the_work(
    infer: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Generator, "load", None)
    Path("file").touch()
    code, _, err = infer("walk", "--to", "file/walk.gif")
    assert (code, err.count("\n")) == (1, 1)
    assert "cannot write file/walk.gif" in err


def test_labels_are_mixed_and_latents_truncated_from_the_command_line(infer: Run) -> None:
    assert infer("sample", 1, "--label", "4:0.7,9:0.3", "--psi", 0.5, "--seed", 0, "--to", "out")[0] == 0
    wanted = Generator.load("digits", device="cpu").sample(1, {4: 0.7, 9: 0.3}, 0, psi=0.5)
    with Image.open("out/seed000000.png") as opened:
        assert np.array_equal(np.asarray(opened), wanted[0, :, :, 0])
