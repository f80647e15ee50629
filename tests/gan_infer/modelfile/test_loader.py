"""What `load` takes for a model: paths, ~, bytes, open files; and what it says of anything else."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gan_infer import Critic, Generator, ModelError, cli
from gan_infer.modelfile import catalog
from gan_infer.outputs import image
from tests.conftest import CONDITIONAL, CommandLine, Kind

Models = Callable[[Kind], Path]


class Endless:
    """A file that never ends."""

    def __init__(self) -> None:
        self.asked = 0

    def read(self, count: int = -1) -> bytes:
        self.asked = count
        return b"x" * min(count, 100) if count > 0 else b""


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, io.BytesIO])
def test_a_model_loads_from_its_bytes(model_file: Models, wrap: Any) -> None:
    path = model_file(CONDITIONAL)
    expected = Generator.load(path, device="cpu")
    generator = Generator.load(wrap(path.read_bytes()), device="cpu")
    assert generator.source == "<bytes>"
    assert generator.sha256 == expected.sha256
    assert generator.name == expected.name
    assert np.array_equal(generator.sample(3, seed=1), expected.sample(3, seed=1))
    assert generator.provenance([1]).model_sha256 == expected.sha256


def test_a_critic_loads_from_an_open_file(critic_file: Models) -> None:
    with critic_file(CONDITIONAL).open("rb") as file:
        critic = Critic.load(file, device="cpu")
    pictures = np.zeros((2, 28, 28, 1), np.uint8)
    expected = Critic.load(critic_file(CONDITIONAL), device="cpu")
    assert np.array_equal(critic(pictures, [0, 1]), expected(pictures, [0, 1]))
    assert critic.source == "<bytes>"


def test_later_changes_of_a_buffer_change_nothing(model_file: Models) -> None:
    buffer = bytearray(model_file(CONDITIONAL).read_bytes())
    generator = Generator.load(buffer, device="cpu", threads=1)
    before = generator.sample(1, seed=0)
    buffer[:] = bytes(len(buffer))
    again = pickle.loads(pickle.dumps(generator))
    assert np.array_equal(again.sample(1, seed=0), before)


def test_what_was_loaded_from_bytes_is_pickled_with_them(model_file: Models, critic_file: Models) -> None:
    generator = Generator.load(model_file(CONDITIONAL).read_bytes(), device="cpu")
    for other in (pickle.loads(pickle.dumps(generator)), copy.deepcopy(generator)):
        assert (other.source, other.sha256) == (generator.source, generator.sha256)
        assert np.array_equal(other.sample(2, seed=0), generator.sample(2, seed=0))
    critic = Critic.load(critic_file(CONDITIONAL).read_bytes(), device="cpu")
    assert pickle.loads(pickle.dumps(critic)).sha256 == critic.sha256
    generator.close()
    with pytest.raises(ModelError, match="closed"):
        pickle.dumps(generator)


def test_a_picture_of_a_model_from_bytes_is_verified(model_file: Models, tmp_path: Path) -> None:
    from gan_infer.apps.verification import verify

    generator = Generator.load(model_file(CONDITIONAL).read_bytes(), device="cpu")
    image.save(generator.sample(1, seed=3)[0], tmp_path / "x.png", generator.provenance([3]))
    other = Generator.load(model_file(CONDITIONAL), device="cpu")
    assert verify(tmp_path / "x.png", other).result == "same"


@pytest.mark.parametrize("given", [b"", b"/etc/passwd", b"x" * 1000, io.BytesIO(), io.BytesIO(b"PK\x03\x04")])
def test_bytes_that_are_no_model_are_refused(given: Any) -> None:
    with pytest.raises(ModelError, match="<bytes>"):
        Generator.load(given)


def test_files_that_give_no_bytes_are_refused(model_file: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="reads as str; open it in binary mode"):
        Generator.load(io.StringIO("text"))  # type: ignore[arg-type]
    closed = io.BytesIO(b"x")
    closed.close()
    with pytest.raises(ModelError, match="cannot be read"):
        Generator.load(closed)
    with pytest.raises(ModelError, match="cannot be read"):
        Generator.load(_WriteOnly())  # type: ignore[arg-type]
    endless = Endless()
    with pytest.raises(ModelError):
        Generator.load(endless)  # type: ignore[arg-type]
    assert endless.asked == catalog.MAX_BYTES + 1
    monkeypatch.setattr(catalog, "MAX_BYTES", 1000)
    for wrap in (bytes, memoryview, io.BytesIO):
        with pytest.raises(ModelError, match="too large"):
            Generator.load(wrap(model_file(CONDITIONAL).read_bytes()))


class _WriteOnly:
    def read(self, count: int) -> bytes:
        raise io.UnsupportedOperation("not readable")


# Paths.


def test_a_home_is_looked_up(
    model_file: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command_line: CommandLine
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    path = tmp_path / "home" / "models" / "x.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(model_file(CONDITIONAL).read_bytes())
    assert Generator.load("~/models/x.onnx", device="cpu").source == str(path)
    assert Generator.load(Path("~/models"), device="cpu").source == str(path)
    run = command_line("gan-infer", cli.main)
    code, out, err = run("info", "--model", "~/models/x.onnx", "--json")
    assert (code, err) == (0, "")
    assert str(path) in out


def test_a_file_that_is_named_with_a_tilde_is_found(
    model_file: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("~x.onnx").write_bytes(model_file(CONDITIONAL).read_bytes())
    assert Generator.load("~x.onnx", device="cpu").sample(1, seed=0).size


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("", "an empty text"),
        ("x" * 5000, r"'x{120}\.\.\."),
        ("a/" * 3000, "given|no model file|cannot be read"),
        ("a\0b", "NUL"),
        ("\0", "NUL"),
        ("~nobody-of-this-name/x.onnx", "home folder|no model file"),
        (" ", "no model file"),
        ("\ud800", "no model file"),
        (None, "given as NoneType"),
        (3, "given as int"),
        (1.5, "given as float"),
        (True, "given as bool"),
        (["digits"], "given as list"),
        ({"a": 1}, "given as dict"),
        (np.zeros(3), "given as ndarray"),
        (object(), "given as object"),
        (Path, "given as type"),
    ],
)
def test_what_names_no_model_is_one_clear_line(
    given: Any, reason: str, model_file: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lone.onnx").write_bytes(model_file(CONDITIONAL).read_bytes())  # must not be taken
    for kind in (Generator, Critic):
        with pytest.raises(ModelError, match=reason) as caught:
            kind.load(given)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 500


def test_an_empty_name_on_the_command_line_takes_nothing(
    command_line: CommandLine, model_file: Models
) -> None:
    run = command_line("gan-infer", cli.main)
    Path("lone.onnx").write_bytes(model_file(CONDITIONAL).read_bytes())
    for command in (("info",), ("grid", "--to", "x.png"), ("walk", "--to", "x.gif")):
        code, out, err = run(*command, "--model", "")
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert "empty" in err
    assert sorted(path.name for path in Path().iterdir()) == ["lone.onnx"]
