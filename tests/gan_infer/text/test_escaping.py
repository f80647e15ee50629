"""Texts of model files, of pictures and of file names steer no terminal."""

from __future__ import annotations

import json
import pickle
import re
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_infer import GanError, Generator, LabelError, ModelError, cli
from gan_infer.modelfile.metadata import KEY
from gan_infer.text.escaping import plain
from tests import hostile
from tests.conftest import CommandLine

NASTY = (
    "\x1b]0;pwn\x07\x1b[2J",
    "\u202efdp.exe",
    "\u2066a\u2069",
    "\u200bzero\u200d\u2060\ufeff",
    "a\nb\rc\td\x00\x7f",
    "\x9b31m\x85",
    "\u2028x\u2029",
    "\ue000\U000f0000",
    "z" + "\u0301" * 40,
    "\U000e0041\U000e0100",
    "\u3164\u115f\u2800",
)
FORBIDDEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ue000-\uf8ff\ud800-\udfff"
    "\u3164\u115f\u2800\U000e0000-\U000e0fff\U000f0000-\U0010ffff]|\u0301{5}"
)


@pytest.mark.parametrize(
    "text",
    [
        "plain ASCII, ~ and \\ too",
        "Tür, naïve, Ångström",
        "猫 犬 ねこ 고양이",
        "แมว बिल्ली গাড়ি",
        "חתול قطة",
        "ὕδωρ Ёлка",
        "ệ e\u0302\u0323",
        "\U0001f600\U0001f1e9\U0001f1ea\u2764\ufe0f",
        "\u2026 \u2013 \u00a0\u3000",
    ],
)
def test_ordinary_texts_of_all_scripts_stay(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", "\\x1b[31m"),
        ("\u202efdp", "\\u202efdp"),
        ("a\nb\t", "a\\nb\\t"),
        ("\x9b", "\\x9b"),
        ("\udcff", "\\udcff"),
        ("\U000e0001", "\\U000e0001"),
        ("e" + "\u0301" * 6, "e" + "\u0301" * 4 + "\\u0301" * 2),
    ],
)
def test_what_would_steer_a_terminal_is_written_out(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(st.text())
def test_any_text_is_made_safe_and_escaping_twice_changes_nothing(text: str) -> None:
    shown = plain(text)
    assert not any(unicodedata.category(each) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} for each in shown)
    assert plain(shown) == shown


def test_messages_of_errors_are_safe_whoever_prints_them() -> None:
    error = ModelError("\u202eMIT \x1b[2J", 3)
    assert error.args == ("\\u202eMIT \\x1b[2J", 3)
    assert str(pickle.loads(pickle.dumps(LabelError("a\u200bb")))) == "a\\u200bb"
    assert issubclass(ModelError, GanError)


@pytest.fixture
def nasty(tmp_path: Path) -> Path:
    """Return a model file all of whose texts are hostile."""
    model = hostile.base()
    data = json.loads(model.metadata_props[0].value)
    texts = "".join(NASTY)
    data |= {"class_names": NASTY[:3], "name": texts, "licence": texts, "recipe": {texts: texts}}
    data["directions"] = [{"name": NASTY[1], "vector": [0.5] * 4}, {"name": NASTY[0], "vector": [0.1] * 4}]
    model.metadata_props[0].value = json.dumps(data)
    assert model.metadata_props[0].key == KEY
    (tmp_path / "nasty.onnx").write_bytes(model.SerializeToString())
    return tmp_path / "nasty.onnx"


def test_every_command_writes_hostile_texts_out(nasty: Path, command_line: CommandLine) -> None:
    run = command_line("gan-infer", cli.main)
    model, odd = ("--model", nasty), "p\u202eq\u200b.png"
    commands: list[tuple[object, ...]] = [
        ("info", *model),
        ("info", *model, "--json"),
        ("grid", *model, "--label", "none such"),
        ("grid", *model, "--label", NASTY[0] + "?"),
        ("grid", *model, "--to", odd),
        ("grid", *model, "--to", "x" + NASTY[0]),
        ("grid", "--model", NASTY[1]),
        ("grid", "--rows", NASTY[0]),
        ("edit", *model, "--label", "0", "--seed", 1),
        ("edit", *model, "--label", "0", "--direction", "none such"),
        ("sample", 2, *model, "--to", "o\u200but"),
        ("verify", *model, odd),
        ("verify", odd),
        ("verify", *model, odd, "--json"),
        ("verify", "no\u202e.png", "--json"),
        ("score", "--critic", nasty, odd),
        (NASTY[0],),
        ("grid", "--" + NASTY[0]),
    ]
    for command in commands:
        _, out, err = run(*command)
        assert out + err, command
        assert not FORBIDDEN.search(out + err), (command, ascii(out + err))
        if "--json" in command and out:
            assert out.isascii()
            json.loads(out)
    with pytest.raises(LabelError) as caught:
        Generator.load(nasty, device="cpu").sample(1, "none such")
    assert not FORBIDDEN.search(str(caught.value))


@pytest.mark.skipif(sys.platform == "win32", reason="names of files are other there")
def test_files_of_hostile_names_are_listed_written_out(nasty: Path, command_line: CommandLine) -> None:
    run = command_line("gan-infer", cli.main)
    Path("in\x1b[31m").mkdir()
    nasty.rename("in\x1b[31m/a\u202e.onnx")
    code, out, err = run("info", "--model", "in\x1b[31m")
    assert code == 0
    assert not FORBIDDEN.search(out + err)
    assert "in\\x1b[31m/a\\u202e.onnx" in out
