"""What both command lines share: errors as one clear line, exit codes, tracebacks on request."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import math
import sys
from typing import Any, NoReturn

import click

from gan_infer.errors import GanError
from gan_infer.escaping import plain


class Commands(click.Group):
    """Commands that are imported when they are asked for, so that one does not wait for the others.

    Each is a function of a module of its own, both of the command's name. Installed packages add
    theirs as entry points of the group `extensions`, which are looked up for --help and for a name
    that is not among `names`.
    """

    def __init__(
        self, *arguments: Any, package: str, names: tuple[str, ...], extensions: str = "", **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self._package, self._names, self._extensions = package, names, extensions

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names, in the order in which `--help` lists them."""
        return [*self._names, *self._added()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, None if there is none of the name."""
        if cmd_name not in self._names:
            added = self._added().get(cmd_name)
            try:
                return added.load() if added is not None else None
            except ImportError:  # half an installation: the other commands go on
                return None
        command: click.Command = getattr(importlib.import_module(f"{self._package}.{cmd_name}"), cmd_name)
        return command

    def _added(self) -> dict[str, Any]:
        """Return name -> entry point of the commands that installed packages add."""
        if not self._extensions:
            return {}
        from importlib.metadata import entry_points  # most commands do without

        found = entry_points(group=self._extensions)
        return {point.name: point for point in found if point.name not in self._names}

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments name; for one that is not there, say which may be meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib  # only who mistypes waits for it

            if close := difflib.get_close_matches(args[0], self.list_commands(ctx), 1):
                raise click.UsageError(f"{error.message} Did you mean {close[0]!r}?", ctx) from None
            raise


class FloatRange(click.FloatRange):
    """click's own, but for "nan", which that lets pass whatever the range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Give the number of a text; refuse what is none or out of range."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{number} is not in the range {self._describe_range()}.", param, ctx)
        return number


def run(command: click.Command, name: str) -> NoReturn:
    """Run a click command and leave the process with the exit code of the contract.

    0 done, 1 an error of ours in one line on stderr, 2 a wrong use of the command line, 130 an
    interruption. With --debug anywhere among the arguments, errors come with their traceback.
    """
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="surrogateescape")  # a file's name need not be text
    try:
        code = command.main(arguments, prog_name=name, standalone_mode=False)
        sys.stdout.flush()  # a full disk is met here, and not in the interpreter's end
        sys.exit(code if isinstance(code, int) else 0)
    except GanError as error:
        if debug:
            raise
        say(f"{name}: {error}")
        sys.exit(1)
    except click.UsageError as error:
        _show(error)
        sys.exit(2)
    except click.ClickException as error:
        _show(error)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        say(f"{name}: interrupted")
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        if debug:
            raise
        where = f" {error.filename}" if error.filename else ""
        say(f"{name}: the system refused to read or write{where}: {error.strerror or error}")
        with contextlib.suppress(OSError):
            sys.stdout.close()  # what it still holds would be tried once more
        sys.exit(1)
    except MemoryError:
        if debug:
            raise
        say(f"{name}: out of memory; ask for fewer or smaller pictures")
        sys.exit(1)


def say(text: str) -> None:
    """Write a line to stderr; stdout is for results alone."""
    print(plain(" ".join(text.split("\n"))), file=sys.stderr, flush=True)


def echo(result: object) -> None:
    """Write a line of results to stdout; what would steer a terminal is written out."""
    click.echo(plain(str(result)))


def echo_json(result: object, indent: int | None = None) -> None:
    """Write a result to stdout as JSON, in ASCII, for the same reason."""
    click.echo(json.dumps(result, indent=indent).replace("\x7f", "\\u007f"))


def _show(error: click.ClickException) -> None:
    """Show a wrong use of the command line as click does, with the words that were typed written out."""
    lines = error.message.expandtabs(4).split("\n")
    error.message = "\n".join(map(plain, lines))  # type: ignore[misc]  # which click itself sets again
    error.show()
