"""What the tools print to need be no terminal, and no UTF-8: closed, full, in an old encoding, unread."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gan_infer import console

ROOT = Path(__file__).parents[3]
NAME = "😀é.png"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="streams are given by a POSIX shell")


def run(folder: Path, command: str, redirected: str = "", **environment: str) -> tuple[int, bytes, bytes]:
    """Run a tool in a shell, with its streams redirected."""
    done = subprocess.run(
        ["/bin/sh", "-c", f'"{sys.executable}" -m {command} {redirected}'],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
ENCODINGS: dict[str, tuple[dict[str, str], bytes]] = {
    "cp1252": ({"PYTHONIOENCODING": "cp1252"}, b"\\ud83d\\ude00\xe9.png\n"),
    "cp932": ({"PYTHONIOENCODING": "cp932"}, b"\\ud83d\\ude00\\u00e9.png\n"),
    "ascii": ({"PYTHONIOENCODING": "ascii"}, b"\\ud83d\\ude00\\u00e9.png\n"),
    "C": (C_LOCALE, f"{NAME}\n".encode()),
}


@pytest.mark.parametrize("name", ["cp1252", "cp932", "ascii", "C"])
def test_every_encoding_takes_every_name(tmp_path: Path, name: str) -> None:
    environment, expected = ENCODINGS[name]
    grid = f"gan_infer grid --label 4 --rows 1 --cols 1 --to {NAME}"
    assert run(tmp_path, grid, **environment) == (0, expected, b"")
    code, out, err = run(tmp_path, f"gan_infer verify --json {NAME}", **environment)
    told = json.loads(out.decode(name if name != "C" else "ascii"))
    assert (code, told["picture"], told["result"], err) == (0, NAME, "same", b"")


@pytest.mark.parametrize("name", ["cp932", "C"])
def test_errors_are_told_in_every_encoding(tmp_path: Path, name: str) -> None:
    for command in (f"gan_infer info --model {NAME}", f"gan_train data check {NAME}"):
        code, out, err = run(tmp_path, command, **ENCODINGS[name][0])
        assert code == 1
        assert b"Traceback" not in err
        assert b".png" in out + err


@pytest.mark.parametrize("redirected", [">&-", ">&- 2>&- <&-"])
@pytest.mark.parametrize("command", ["gan_infer grid --label 4 --to x.png", "gan_train presets"])
def test_streams_may_be_closed(tmp_path: Path, command: str, redirected: str) -> None:
    assert run(tmp_path, command, redirected)[0::2] == (0, b"")
    if "grid" in command:  # nothing was printed into the file that took a closed stream's number
        assert (tmp_path / "x.png").read_bytes()[-8:-4] == b"IEND"


@pytest.mark.parametrize("redirected", [">&-", "2>&-"])
def test_errors_end_with_their_code_where_streams_are_closed(tmp_path: Path, redirected: str) -> None:
    code, _, err = run(tmp_path, "gan_infer info --model missing", redirected)
    assert (code, err.count(b"\n")) == (1, int("2>" not in redirected))


@pytest.mark.parametrize("command", ["gan_infer info", "gan_infer info --model missing"])
@pytest.mark.parametrize("redirected", ["| true", "2>&1 | head -c 1"])
def test_readers_may_go_away(tmp_path: Path, command: str, redirected: str) -> None:
    _, _, err = run(tmp_path, command, redirected)
    assert b"Traceback" not in err
    assert b"Exception ignored" not in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_notes_that_cannot_be_written_stop_nothing(tmp_path: Path) -> None:
    assert run(tmp_path, "gan_infer info --model missing", "2>/dev/full") == (1, b"", b"")
    assert run(tmp_path, "gan_infer grid --label 4 --to x.png", "2>/dev/full")[0] == 0
    assert run(tmp_path, "gan_infer info", ">/dev/full 2>/dev/full")[0] == 1


def test_json_of_names_that_are_no_text() -> None:
    assert console.to_json(["é\udcff"]) == '["\\u00e9\\udcff"]'
    assert console.to_json([os.fsencode("😀").decode("ascii", "surrogateescape")]) == '["\\ud83d\\ude00"]'
    assert json.loads(console.to_json({"\udc80": "a\ud800"})) == {"\udc80": "a\ud800"}
