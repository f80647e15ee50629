"""Where things are kept, and what "~" stands for, with and without a home folder."""

from __future__ import annotations

import os
import pwd
import sys
import tempfile
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import gan_infer.cli
import gan_train.cli
from gan_infer import console, files
from gan_infer.apps import doctor
from gan_infer.errors import OptionError
from gan_train.data import cache
from gan_train.metrics import inception, store

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="homes are POSIX's here")


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GANFORGE_HOME", "XDG_CACHE_HOME", "TORCH_HOME", inception.VARIABLE):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "home").mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.chdir(tmp_path)
    files.temporary_home.cache_clear()


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a user without a home and a name, as in containers."""

    def unknown(*_: object) -> None:
        raise KeyError("uid not found")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(pwd, "getpwnam", unknown)


def test_things_are_kept_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert files.home() == tmp_path / "home/.cache/ganforge"
    monkeypatch.setenv("XDG_CACHE_HOME", "~/elsewhere")
    assert files.home() == tmp_path / "home/elsewhere/ganforge"
    monkeypatch.setenv("GANFORGE_HOME", "~/kept")
    assert files.home() == tmp_path / "home/kept"
    assert (store.directory(), cache.directory()) == (files.home() / "metrics", files.home() / "pictures")
    assert not (tmp_path / "~").exists()


@pytest.mark.usefixtures("nobody")
def test_without_a_home_a_folder_of_ones_own_is_made_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = files.home()
    assert folder == tmp_path / "tmp" / f"ganforge-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert files.home() == folder
    assert store.directory().parent == cache.directory().parent == folder
    assert [record.getMessage().count(str(folder)) for record in caplog.records] == [1]
    assert inception.find() is None
    files.temporary_home.cache_clear()
    assert files.home() == folder  # by the next process, too


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("planted", ["a link", "open to others", "a file", "another's"])
def test_a_planted_folder_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, planted: str) -> None:
    place = tmp_path / "tmp" / f"ganforge-{os.getuid()}"
    if planted == "a link":
        (tmp_path / "evil").mkdir(mode=0o700)
        place.symlink_to(tmp_path / "evil")
    elif planted == "a file":
        place.write_text("")
    else:
        place.mkdir(mode=0o700)
        place.chmod(0o777 if planted == "open to others" else 0o700)
    if planted == "another's":
        user = os.getuid() + 1
        monkeypatch.setattr(os, "getuid", lambda: user)
        place.rename(place.with_name(f"ganforge-{user}"))
    folder = files.home()
    assert folder.parent == tmp_path / "tmp"
    assert folder.name not in (place.name, f"ganforge-{os.getuid()}")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.is_symlink()


@pytest.mark.parametrize("home", ["", "relative"])
def test_a_home_that_is_none_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    monkeypatch.setenv("HOME", home)
    assert files.home().parent == tmp_path / "tmp"


@pytest.mark.usefixtures("not_root")
def test_a_home_that_cannot_be_written_is_read_where_it_holds_something(tmp_path: Path) -> None:
    (tmp_path / "home").chmod(0o500)
    assert files.home().parent == tmp_path / "tmp"
    (tmp_path / "home").chmod(0o700)
    (tmp_path / "home/.cache/ganforge").mkdir(parents=True)
    (tmp_path / "home").chmod(0o500)
    assert files.home() == tmp_path / "home/.cache/ganforge"


@pytest.mark.usefixtures("nobody")
def test_where_nothing_can_be_written_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/dev/null/none")
    assert store.load("kind", "key") is None
    store.keep("kind", "key", {})
    assert cache.room_for(1)


@pytest.mark.usefixtures("nobody")
def test_the_doctor_says_where_things_go(monkeypatch: pytest.MonkeyPatch) -> None:
    found = doctor.check_cache()
    assert (found.state, "there is no home folder" in found.text) == ("note", True)
    monkeypatch.setenv("GANFORGE_HOME", "~nobodyofthisname/x")
    found = doctor.check_cache()
    assert (found.state, "and there is none" in found.text) == ("problem", True)


# What "~" stands for.


def test_tildes_are_expanded_as_shells_do(tmp_path: Path) -> None:
    home, root = tmp_path / "home", pwd.getpwuid(0)
    assert files.expand("~/x/y.png") == str(home / "x/y.png")
    assert files.expand("~") == str(home)
    assert files.expand(f"~{root.pw_name}/x") == str(Path(root.pw_dir) / "x")
    for name in ("./~", "./~/x", "a~", "a/~/b", "", "x"):
        assert files.expand(name) == name
    with pytest.raises(OptionError, match="home of nobodyofthisname, and there is none"):
        files.expand("~nobodyofthisname/x")
    Path("~lock.png").write_text("")
    assert files.expand("~lock.png") == "~lock.png"


@pytest.mark.usefixtures("nobody")
def test_tildes_without_a_home_are_refused() -> None:
    with pytest.raises(OptionError, match="home of this user, and there is none"):
        files.expand("~/x")


def options(group: click.Group) -> list[click.Parameter]:
    found: list[click.Parameter] = []
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        found += options(command) if isinstance(command, click.Group) else command.params
    return found


@pytest.mark.parametrize("group", [gan_infer.cli.cli, gan_train.cli.cli], ids=["gan-infer", "gan-train"])
def test_every_path_of_the_command_lines_is_expanded(group: click.Group, tmp_path: Path) -> None:
    paths = [param for param in options(group) if isinstance(param.type, click.Path)]
    assert len(paths) >= 10
    for param in paths:
        assert isinstance(param.type, console.FilePath)
        assert str(param.type.convert("~/x", param, None)) == str(tmp_path / "home/x")
        assert str(param.type.convert("./~", param, None)) in ("~", "./~")
    named = {param.name for param in paths}
    assert named >= (
        {"to", "sign", "critic", "latent", "pictures"}
        if group is gan_infer.cli.cli
        else {"to", "out", "run", "critic", "data", "source", "labels", "base", "photo", "calibrate"}
    )


def test_a_picture_goes_home(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        gan_infer.cli.cli, ["grid", "--rows=1", "--cols=1", "--label=1", "--to=~/x.png"]
    )
    assert (done.exit_code, done.output) == (0, f"{tmp_path / 'home/x.png'}\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "tmp"]
    done = CliRunner().invoke(gan_infer.cli.cli, ["grid", "--to=~nobodyofthisname/x.png"])
    assert (done.exit_code, "Invalid value for '--to'" in done.output) == (2, True)
