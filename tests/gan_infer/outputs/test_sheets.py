"""How large sheets become: what viewers open, or one line on how to choose, before the work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from gan_infer import Generator, OptionError, cli
from gan_infer.modelfile import catalog
from gan_infer.outputs import image as images
from gan_infer.runtime.session import Session
from tests import hostile
from tests.conftest import CONDITIONAL, CommandLine, Kind

CLASSES = 5000


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a model with 5,000 classes, of pictures 6x6."""
    model = hostile.base()
    tensor = next(each for each in model.graph.initializer if each.name == "table")
    table = np.random.default_rng(0).standard_normal((CLASSES, 4), np.float32)
    tensor.CopyFrom(numpy_helper.from_array(table, "table"))
    data = json.loads(model.metadata_props[0].value)
    data["class_names"] = [f"thing {index}" for index in range(CLASSES)]
    del data["inputs"]  # which follow from the classes, then
    model.metadata_props[0].value = json.dumps(data)
    path = tmp_path_factory.mktemp("many") / "many.onnx"
    onnx.save(model, path)
    return path


def test_of_very_many_classes_the_first_are_laid_out(many: Path, command_line: CommandLine) -> None:
    generator = Generator.load(many, device="cpu")
    rows = images.rows_that_fit(6, 6)
    with pytest.warns(UserWarning, match=f"the first {rows} of 5,000 classes"):
        assert generator.grid().shape == (rows * 8 + 2, 8 * 8 + 2, 1)
    told = generator.grid_provenance()
    assert told.labels == tuple(f"thing {index}" for index in range(rows) for _ in range(8))
    run = command_line("gan-infer", cli.main)
    code, out, err = run("grid", "--model", many, "--to", "many.webp")
    assert (code, out) == (0, "many.webp\n")
    assert err == (
        f"rows are the first {rows} of 5,000 classes; choose another by --label, or give --rows "
        "and --cols, and --seeds, whose classes follow one another\n"
    )
    with Image.open("many.webp") as image:
        assert images.VIEWABLE_SIDE - 11 * 8 < image.height <= images.VIEWABLE_SIDE
    assert run("verify", "--model", many, "many.webp")[0] == 0
    code, _, err = run("grid", "--model", many, "--seeds", "4990-4999", "--rows", 2)
    assert (code, err) == (0, "")
    assert run("grid", "--model", many, "--label", "thing 4999")[2] == ""


def test_where_all_classes_fit_all_are_laid_out(model_file: Callable[[Kind], Path]) -> None:
    assert Generator.load(model_file(CONDITIONAL), device="cpu").grid().shape == (10 * 30 + 2, 8 * 30 + 2, 1)
    assert Generator.load("digits", device="cpu").grid().shape == (10 * 30 + 2, 8 * 30 + 2, 1)


@pytest.mark.parametrize(
    ("arguments", "to", "said"),
    [
        (
            ("grid", "--rows", 300, "--cols", 2),
            "x.webp",
            "too many for WEBP, whose files hold at most 16,383",
        ),
        (
            ("grid", "--rows", 2, "--cols", 1000),
            "x.jpg",
            "too many for JPEG, whose files hold at most 65,500",
        ),
        (("grid", "--rows", 2, "--cols", 1000), "x.gif", "too many for GIF, whose files hold at most 65,535"),
        (
            ("grid", "--rows", 1000, "--cols", 1000),
            "x.png",
            "1,000 by 1,000 pictures is too large",
        ),
        (("edit", "--steps", 1000), "x.webp", "too many for WEBP"),
        (("walk", "--sheet", 10_000), "x.webp", "too many for WEBP"),
        (("walk", "--sheet", 10_000, "--scale", 64), "x.png", "is too large"),
        (("morph", "--from-label", 1, "--to-label", 2, "--sheet", 9999), "x.webp", "too many for WEBP"),
    ],
)
def test_a_sheet_that_no_file_can_hold_is_one_line_before_the_work(
    command_line: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[object, ...],
    to: str,
    said: str,
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("it was drawn")

    monkeypatch.setattr(Session, "run", never)
    code, out, err = command_line("gan-infer", cli.main)(*arguments, "--to", to)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert said in err
    assert not Path(to).exists()


def test_in_python_too_a_sheet_that_is_too_large_is_refused() -> None:
    with pytest.raises(OptionError, match="too large"):
        Generator.load("digits", device="cpu").grid(rows=100_000, columns=100_000)


def test_the_sheet_of_models_ends_where_viewers_would(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "models" / "a" / catalog.MODEL_FILE
    for name in "abcd":
        path = tmp_path / "models" / name / catalog.MODEL_FILE
        path.parent.mkdir(parents=True)
        path.write_bytes(hostile.base().SerializeToString())
    monkeypatch.setattr(catalog, "root", lambda: tmp_path / "models")
    catalog.write_checksums()
    monkeypatch.setattr(images, "VIEWABLE_SIDE", 200)
    code, _, err = command_line("gan-infer", cli.main)("models", "--to", "models.png")
    assert (code, err) == (0, "models.png shows the first 2 of 4 models\n")
    assert file.exists()
    with Image.open("models.png") as image:
        assert image.height <= 200
