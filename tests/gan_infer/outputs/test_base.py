"""Output kinds: pictures, and arrays that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gan_infer import Generator, ModelError, OptionError, cli
from gan_infer.outputs.base import OUTPUTS, ArrayOutput, ImageOutput
from tests import new_kinds
from tests.conftest import CommandLine


def test_a_file_that_makes_no_pictures_gives_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = new_kinds.write_sounds(tmp_path / "sounds.onnx")
    with pytest.raises(ModelError, match="'audio' of kind 'audio', which this ganforge does not know"):
        Generator.load(path, device="cpu")
    monkeypatch.setitem(OUTPUTS, "audio", ArrayOutput("audio"))
    generator = Generator.load(path, device="cpu")
    sounds = generator.sample(70, seed=0)
    assert (sounds.shape, sounds.dtype) == ((70, 50), np.float32)
    assert np.abs(sounds).max() <= 1
    assert np.array_equal(generator.sample(1, seed=69)[0], sounds[69])
    assert "50" in repr(generator)
    with pytest.raises(OptionError, match="the model makes audio, no pictures"):
        generator.grid()
    with pytest.raises(OptionError, match="the model makes audio; give 'np'"):
        generator.sample(1, output="pil")
    with pytest.raises(OptionError, match="would fill more than 2 GiB"):
        generator.sample(2**31 // 200 + 1)


def test_commands_that_write_pictures_refuse_it_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command_line: CommandLine
) -> None:
    monkeypatch.setitem(OUTPUTS, "audio", ArrayOutput("audio"))
    path = new_kinds.write_sounds(tmp_path / "sounds.onnx")
    run = command_line("gan-infer", cli.main)
    for command in (("grid", "--to", "x.png"), ("sample", 2, "--to", "out"), ("walk", "--to", "x.gif")):
        code, out, err = run(*command, "--model", path)
        assert (code, out) == (1, "")
        assert (
            err == "gan-infer: model 'sounds' makes audio, no pictures; give another, or use it in Python\n"
        )
    code, out, err = run("info", "--model", path)
    assert (code, err) == (0, "")
    assert "audio float32 [batch, 50]" in out
    assert "height x width" not in out


def test_pictures_are_compared_in_levels_and_laid_out() -> None:
    pictures = np.zeros((3, 4, 5, 1), np.uint8)
    kind = ImageOutput()
    assert kind.compare(pictures, pictures + np.uint8(3)) == 3
    assert kind.compare(pictures, pictures[:2]) == np.inf
    assert kind.lay_out(pictures, 3).shape == (8, 23, 1)


def test_arrays_of_no_known_format_are_not_saved(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="audio has no file format"):
        ArrayOutput("audio").save(np.zeros(3), tmp_path / "x.wav", None, None)
    with pytest.raises(OptionError, match="no pictures"):
        ArrayOutput("audio").lay_out(np.zeros((2, 3)), 2)
