"""Both command lines: commands come when they are asked for, and a mistyped one is told what was meant."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import gan_infer.cli
import gan_train.cli
from gan_infer import console

PROGRAMS = {"gan-infer": gan_infer.cli.cli, "gan-train": gan_train.cli.cli}


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_lists_every_command_in_its_order(name: str) -> None:
    program = PROGRAMS[name]
    told = CliRunner().invoke(program, ["--help"])
    commands = program.list_commands(click.Context(program))
    listed = told.output[told.output.index("Commands:") :].splitlines()[1:]
    assert told.exit_code == 0
    assert [line.split()[0] for line in listed if line.startswith("  ") and line[2] != " "] == commands
    for command in commands:
        helped = CliRunner().invoke(program, [command, "--help"])
        assert (helped.exit_code, helped.output.splitlines()[0].split()[2]) == (0, command)


@pytest.mark.parametrize(
    ("name", "typed", "meant"),
    [("gan-infer", "gird", "grid"), ("gan-train", "eval", "evaluate"), ("gan-train", "fitt", "fit")],
)
def test_a_mistyped_command_is_told_what_was_meant(name: str, typed: str, meant: str) -> None:
    told = CliRunner().invoke(PROGRAMS[name], [typed])
    assert told.exit_code == 2
    assert f"No such command '{typed}'. Did you mean '{meant}'?" in told.output
    far = CliRunner().invoke(PROGRAMS[name], ["zzz"])
    assert (far.exit_code, "Did you mean" in far.output) == (2, False)


def test_a_command_does_not_wait_for_the_others() -> None:
    code = (
        "import sys; from gan_infer.cli import cli; cli(['grid', '--help'], standalone_mode=False); "
        "print(sorted(name for name in sys.modules if name.startswith('gan_infer.commands.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "['gan_infer.commands.grid', 'gan_infer.commands.shared']"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the names of files are text")
def test_names_of_files_that_are_no_text_are_printed_escaped(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.png")
    (tmp_path / name).write_text("no picture")
    done = subprocess.run(
        [sys.executable, "-m", "gan_infer", "verify", name],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONIOENCODING": "utf-8:strict",
            "PYTHONPATH": str(Path(__file__).parent.parent),
        },
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, b"")
    assert done.stdout == b"no provenance: \\udcff.png: carries no provenance\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("module", ["gan_infer", "gan_train"])
def test_a_full_disk_is_one_line(module: str) -> None:
    command = {"gan_infer": ["info"], "gan_train": ["presets"]}[module]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", module, *command],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"{module.replace('_', '-')}: the system refused to read or write: No space left on device"
    ]


def test_commands_of_installed_packages_are_found_and_broken_ones_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    group = "test.commands"
    points = [
        importlib.metadata.EntryPoint("doctor", "gan_infer.commands.grid:grid", group),
        importlib.metadata.EntryPoint("sheet", "gan_infer.commands.grid:grid", group),
        importlib.metadata.EntryPoint("broken", "gan_infer.no_such_module:broken", group),
    ]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points)
    command = console.Commands("x", package="gan_infer.commands", names=("doctor",), extensions=group)
    printed = CliRunner().invoke(command, ["--help"]).output
    assert [line.split()[0] for line in printed.split("Commands:\n")[1].splitlines()] == ["doctor", "sheet"]
    assert CliRunner().invoke(command, ["sheet", "--help"]).exit_code == 0
    assert CliRunner().invoke(command, ["broken"]).exit_code == 2
    assert "Check this machine for problems" in CliRunner().invoke(command, ["doctor", "--help"]).output


def test_ctrl_c_while_a_library_is_loaded_is_an_interruption(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(cause: BaseException) -> click.Command:
        def fail() -> None:
            raise ImportError("initialization failed") from cause

        return click.Command("tool", callback=fail)

    monkeypatch.setattr(sys, "argv", ["tool"])
    with pytest.raises(SystemExit) as end:
        console.run(make(KeyboardInterrupt()), "tool")
    assert (end.value.code, capsys.readouterr().err) == (130, "tool: interrupted\n")
    with pytest.raises(ImportError, match="initialization failed"):
        console.run(make(OSError()), "tool")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no file that is always full")
def test_progress_that_cannot_be_told_stops_no_work() -> None:
    code = (
        "import sys; from gan_train import interruption\n"
        "with interruption.handle(): print('x' * 100_000, file=sys.stderr, flush=True); print('done')"
    )
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code], stderr=full, stdout=subprocess.PIPE, text=True, check=False
        )
    assert done.stdout == "done\n"
