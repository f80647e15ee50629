"""What both command lines share: errors in one line, exit codes, tracebacks on request."""

from __future__ import annotations

import importlib
import json
import math
import os
import re
import sys
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from gan_infer import files
from gan_infer.errors import GanError
from gan_infer.text import streams
from gan_infer.text.escaping import plain

# Lone surrogates: they stand for bytes that are not text.
_NOT_TEXT: Final = re.compile("[\ud800-\udfff]+")
_NOT_PLAIN: Final = re.compile("[^\n -~]")


class Commands(click.Group):
    """A group whose commands are imported when they run, so that one does not wait for the others.

    Each command is a function in a module of its own; both have the command's name. Installed packages
    add commands as entry points of the group `extensions`; they are looked up for --help and for a
    name that is not in `names`.
    """

    def __init__(
        self, *arguments: Any, package: str, names: tuple[str, ...], extensions: str = "", **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self._package, self._names, self._extensions = package, names, extensions

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names, in the order in which `--help` lists them."""
        return [*self._names, *self._find_extensions()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by name; None if there is none."""
        if cmd_name not in self._names:
            added = self._find_extensions().get(cmd_name)
            try:
                return added.load() if added is not None else None
            except ImportError:  # half an installation: the other commands still work
                return None
        command: click.Command = getattr(importlib.import_module(f"{self._package}.{cmd_name}"), cmd_name)
        return command

    def _find_extensions(self) -> dict[str, Any]:
        """Return name -> entry point of the commands that installed packages add."""
        if not self._extensions:
            return {}
        from importlib.metadata import entry_points  # most commands do without

        found = entry_points(group=self._extensions)
        return {point.name: point for point in found if point.name not in self._names}

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments name; suggest a similar one if there is none."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib  # slow to import, and needed after a typing mistake only

            if close := difflib.get_close_matches(args[0], self.list_commands(ctx), 1):
                raise click.UsageError(f"{error.message} Did you mean {close[0]!r}?", ctx) from None
            raise


class FilePath(click.Path):
    """A path that may begin with "~" or "~user", even where a shell does not expand it, as in --to=~/x."""

    def __init__(self, kind: type[str | Path] = Path) -> None:
        super().__init__(path_type=kind)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """Return the path; refuse the home of a user that does not exist."""
        try:
            value = files.expand(value) if isinstance(value, str) else value
        except GanError as error:
            self.fail(str(error), param, ctx)
        return super().convert(value, param, ctx)


class FloatRange(click.FloatRange):
    """click's FloatRange, which also refuses "nan"."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; refuse what is not a number or out of range."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{number} is not in the range {self._describe_range()}.", param, ctx)
        return number


def run(command: click.Command, name: str) -> NoReturn:
    """Run a click command and leave the process with the exit code of the contract.

    0: done. 1: an error, in one line on stderr. 2: wrong usage of the command line. 130: interrupted.
    With --debug anywhere among the arguments, errors come with their traceback.
    """
    streams.prepare()
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    code = _run_command(command, name, arguments, debug)
    try:
        sys.stdout.flush()  # a full disk shows here, and not when the interpreter exits
    except BrokenPipeError:
        streams.drop(sys.stdout)
    except OSError as error:
        _say_system_error(name, error)
        streams.drop(sys.stdout)
        code = code or 1
    sys.exit(code)


def _run_command(command: click.Command, name: str, arguments: list[str], debug: bool) -> int:
    """Run a command and return its exit code; report an error in one line."""
    try:
        code = command.main(arguments, prog_name=name, standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        _show_usage_error(error)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say(f"{name}: interrupted")
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        streams.drop(sys.stdout)
        return 0
    except (GanError, OSError, MemoryError) as error:
        if debug:
            raise
        if isinstance(error, GanError):
            say(f"{name}: {error}")
        elif isinstance(error, OSError):
            _say_system_error(name, error)
        else:
            say(f"{name}: out of memory; use fewer or smaller pictures")
        return 1
    except ImportError as error:
        if debug or not _follows_interrupt(error):
            raise
        say(f"{name}: interrupted")
        return 130


def _follows_interrupt(error: BaseException | None) -> bool:
    """Return whether Ctrl-C caused an error: a library that is being loaded raises another one for it."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _say_system_error(name: str, error: OSError) -> None:
    where = f" {error.filename}" if error.filename else ""
    say(f"{name}: the system refused to read or write{where}: {error.strerror or error}")


def to_json(value: object, *, indent: int | None = None) -> str:
    """Return JSON in ASCII, which any stream can hold and which is safe for any terminal.

    Bytes of a file's name that the system's encoding could not decode are read as UTF-8 if they are UTF-8.
    """
    text = _NOT_TEXT.sub(_decode_name, json.dumps(value, indent=indent, ensure_ascii=False))
    return _NOT_PLAIN.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return "\\u007f" if match[0] == "\x7f" else json.dumps(match[0])[1:-1]


def _decode_name(match: re.Match[str]) -> str:
    """Decode bytes that the system's encoding could not read as UTF-8, or escape them."""
    try:
        return match[0].encode("utf-8", "surrogateescape").decode()
    except UnicodeError:
        return "".join(f"\\u{ord(letter):04x}" for letter in match[0])


def say(text: str) -> None:
    """Write a line to stderr; stdout is for results only."""
    print(plain(" ".join(text.split("\n"))), file=sys.stderr, flush=True)


def echo(result: object) -> None:
    """Write a line of results to stdout, with unsafe characters escaped.

    A file's name that the system's encoding could not decode is written byte by byte if it is plain UTF-8.
    """
    text, start, safe_text = str(result), 0, ""
    for match in _NOT_TEXT.finditer(text):
        name = _decode_name(match)
        safe = plain(name) == name and "\\" not in name
        safe_text += plain(text[start : match.start()]) + (match[0] if safe else plain(match[0]))
        start = match.end()
    click.echo(safe_text + plain(text[start:]))


def echo_json(result: object, indent: int | None = None) -> None:
    """Write a result to stdout as JSON."""
    click.echo(to_json(result, indent=indent))


def _show_usage_error(error: click.ClickException) -> None:
    """Show a usage error as click does, with unsafe characters escaped."""
    lines = error.message.expandtabs(4).split("\n")
    error.message = "\n".join(map(plain, lines))  # type: ignore[misc]  # which click itself sets again
    error.show()
