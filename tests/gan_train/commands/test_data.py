"""`gan-train data check`: its report as text and as JSON."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from gan_infer import console
from gan_train.commands.data import data as command
from gan_train.commands.data import format_report
from gan_train.config.options import DataOptions
from gan_train.data import report
from tests.conftest import CommandLine


def test_the_command_exits_as_fit_would_decide(photos: Path, command_line: CommandLine) -> None:
    run = command_line("gan-train data", lambda: console.run(command, "gan-train data"))
    code, out, _ = run("check", photos)
    assert code == 0
    for part in ("24, 24 usable", "cats: 12, dogs: 12", "30x40: 24", "RGB: 24", "verdict     accepted"):
        assert part in out
    (photos / "cats" / "bad.png").write_bytes(b"junk")
    code, out, _ = run("check", photos, "--size", "16x32", "--channels", "1", "--fit", "pad")
    assert code == 1
    assert "cats/bad.png is no picture of a known format" in out
    assert "24 x 16x32x1, 2 classes" in out
    assert "padded with white" in out
    assert out.splitlines()[-1] == (
        "verdict     refused: 1 of 25 pictures cannot be used; "
        "mend or remove them, or leave them out with --on-bad skip"
    )
    code, out, _ = run("check", photos, "--json")
    assert code == 1
    tree = json.loads(out)
    assert tree["classes"] == {"cats": 12, "dogs": 12}
    assert tree["columns"] == {"image": "24 of 30x40x3", "class": "cats: 12, dogs: 12"}
    assert list(tree["bad"]) == ["cats/bad.png"]
    assert not tree["accepted"]
    assert run("check", photos / "gone")[0] == 1
    assert run("check", photos, "--size", "4")[0] == 1
    assert run("check", photos, "--size", "x")[0] == 2


def test_the_text_stays_short_however_many_pictures_are_alike(tmp_path: Path) -> None:
    for index in range(300):
        Image.new("L", (8, 8)).save(tmp_path / f"{index:03}.png")
    found = report.check(DataOptions(source=str(tmp_path)))
    assert len(found.duplicates[0]) == 300
    text = list(format_report(found))
    assert "  000.png = 001.png = 002.png = 003.png = 004.png and 295 more" in text
    assert max(map(len, text)) < 200


def test_names_that_a_terminal_cannot_show(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (photos / "cats" / "日本語.png").write_bytes(b"junk")
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, "latin-1", write_through=True))
    monkeypatch.setattr("sys.argv", ["gan-train data", "check", str(photos)])
    with pytest.raises(SystemExit) as left:
        console.run(command, "gan-train data")
    assert left.value.code == 1
    assert b"\\u65e5" in raw.getvalue()


def test_every_column_has_a_line_of_its_own() -> None:
    found = report.DataReport("x", "folder", columns={"image": "12 of 8x8x1", "age": "12 from 1 to 9 years"})
    text = list(format_report(found))
    assert "image       12 of 8x8x1" in text
    assert "age         12 from 1 to 9 years" in text
