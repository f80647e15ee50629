from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gan_infer import files
from gan_infer.errors import OptionError


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.txt"
    files.write(target, b"one")
    files.write(target, lambda file: file.write(b"two"))
    assert target.read_bytes() == b"two"
    assert list(target.parent.iterdir()) == [target]


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    files.write(target, b"old")

    def fail(file: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        files.write(target, fail)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_new_file_has_the_mode_of_any_other(tmp_path: Path) -> None:
    files.write(tmp_path / "ours", b"")
    (tmp_path / "other").touch()
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("name", ["", "file/below"])
def test_a_target_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    target = tmp_path / name
    for attempt in (files.check_writable, lambda path: files.write(path, b"x")):
        with pytest.raises(OptionError, match="cannot write"):
            attempt(target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


@pytest.mark.usefixtures("not_root")
def test_a_directory_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OptionError, match="Permission denied"):
        files.write(tmp_path / "file", b"x")


def test_checking_leaves_things_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"kept")
    files.check_writable(tmp_path / "file")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"kept"]


def test_what_killed_writes_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    mine = [tmp_path / name for name in ("a.png", ".hidden", ".a.part.png", ".notes.123.part.md", "x.part")]
    for path in mine:
        path.write_text("mine")
    with files.stage(tmp_path / "b.png") as part:
        part.write_text("half of i")
        left = shutil.copy(part, tmp_path / part.name.replace("b.", "c.", 1))  # as a killed process leaves it
    mine.append(tmp_path / "b.png")
    assert left.exists()
    files.sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(mine)
