"""Tries a model file in a process of its own, and returns the result.

A trial is limited in memory, processor time and elapsed time. Its result limits the use of the file in this
process: no call has a larger batch than the trial had, with the largest sides that the inputs may have.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer.conditions.spec import Free

if TYPE_CHECKING:
    import numpy.typing as npt

    Feeds = dict[str, npt.NDArray[Any]]

# An input: its name, the name of its type in numpy, and its shape. A side is None if it is the batch, or free
# without bounds (and then 1).
Input = tuple[str, str, tuple[int | Free | None, ...]]

# The memory that a file may use beyond its need: NEED_PER_BYTE times its size (the file, its decoded form,
# the tensors, and the tensors in an order that suits the processor), and the inputs and outputs of a call.
ALLOWANCE: Final = 256 * 1024**2
NEED_PER_BYTE: Final = 4
MOST_ROOM: Final = 128 * 1024**2
_FIRST_ROOM: Final = 64 * 1024**2
# Seconds of processor time for opening and for one picture.
OPEN_S: Final = 5.0
PICTURE_S: Final = 5.0
# The same for 64 pictures, with an addition per MiB of the file: more work cannot be due to its weights.
MANY_S: Final = 5.0
MANY_S_PER_MIB: Final = 10.0
TOTAL_S: Final = 10.0
# Elapsed seconds until the process is ready, and for the trial. The child limits processor time; on a busy
# machine the elapsed time is longer.
_READY_S: Final = 60.0
TRIAL_S: Final = 40.0

_PYTHON: Final = re.compile(r"(python|pypy)[\d.]*[a-z]*(\.exe)?", re.IGNORECASE)
# What the process runs, once it has read on a line where its modules lie.
START: Final = """
import json, sys
sys.path[:] = json.loads(sys.stdin.buffer.readline())
from gan_infer.modelfile.trial import child
child.main()
"""


class CannotTryError(Exception):
    """No process can be started to try a file; says why."""


class FailedError(Exception):
    """The file exceeded a limit or cannot be run; the message is to be read after "it"."""


@dataclasses.dataclass(frozen=True)
class Request:
    """What to try.

    Attributes:
        inputs: the inputs of every call. If a side is free within bounds, pictures with the largest sides,
            the smallest and some between are drawn first; batches have the largest.
        optional: inputs that may be left out; only batches have them.
        outputs: names of outputs; the values of the first are returned.
        singles: feeds of one picture each, whose outputs are wanted; may be empty.
        batch: the largest batch that calls will have.
        grows: True if that batch needs more memory than any smaller one.
        bytes_alone: bytes of the inputs and outputs of one picture, with the largest sides.
    """

    inputs: Sequence[Input]
    outputs: Sequence[str]
    singles: Sequence[Feeds]
    batch: int
    grows: bool
    bytes_alone: int
    optional: Sequence[Input] = ()


@dataclasses.dataclass(frozen=True)
class Drawn:
    """The output for one picture: the hash of its bytes, and the values if they are few enough."""

    sha256: str
    values: npt.NDArray[Any] | None


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result of a trial.

    Attributes:
        batch: the largest batch within the limits.
        limited: True if this system limits the memory of a process.
        drawn: the outputs for the request's singles, in order; fewer if time ran out.
        open_s, picture_s: processor time for opening, and for one picture with the largest sides.
        memory: the most bytes that the child used; 0 if not known.
    """

    batch: int
    limited: bool
    drawn: tuple[Drawn, ...]
    open_s: float
    picture_s: float
    memory: int


def obstacle() -> str:
    """Return why no process can be started here, as far as this is known before; "" if one can."""
    executable = Path(sys.executable or "")
    if getattr(sys, "frozen", False):
        return "this program is frozen"
    if not _PYTHON.fullmatch(executable.name):
        return "this program is not run by a python that can be started again"
    return "" if executable.is_file() else f"{executable} is not there"


def run(model: bytes, request: Request, unlimited: Callable[[], object]) -> Outcome:
    """Try a model file.

    Args:
        unlimited: called before the child gets the file if this system does not limit memory; an
            exception from it ends the trial.

    Raises:
        CannotTryError: no process can be started.
        FailedError: the file must not be opened here.
    """
    if why := obstacle():
        raise CannotTryError(why)
    with _start() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        talk = _Talk(process)
        need = NEED_PER_BYTE * len(model) + min(request.bytes_alone, _FIRST_ROOM)
        with _kill_after(process, _READY_S):
            talk.send(_header(request, len(model), ALLOWANCE + need))
            ready = talk.hear()
        if not ready.get("ready"):
            raise CannotTryError("the process for it ends before it is ready")
        limited = bool(ready.get("limited"))
        if not limited:
            unlimited()
        with _kill_after(process, TRIAL_S) as late:
            talk.send(model, *(feed.tobytes() for single in request.singles for feed in single.values()))
            return _listen(talk, process, limited, late)


def _header(request: Request, size: int, allowance: int) -> bytes:
    singles = [
        {name: (feed.dtype.str, feed.shape) for name, feed in single.items()} for single in request.singles
    ]
    message = {
        **{name: getattr(request, name) for name in ("inputs", "optional", "outputs", "batch", "grows")},
        "singles": singles,
        "size": size,
        "allowance": allowance,
        "most_room": MOST_ROOM,
        "open_s": OPEN_S,
        "picture_s": PICTURE_S,
        "many_s": MANY_S + MANY_S_PER_MIB * size / 2**20,
        "total_s": TOTAL_S,
    }
    return (
        json.dumps(_path()).encode()
        + b"\n"
        + json.dumps(message, default=dataclasses.astuple).encode()
        + b"\n"
    )


def _listen(talk: _Talk, process: subprocess.Popen[bytes], limited: bool, late: threading.Event) -> Outcome:
    """Read the child's messages until the trial ends.

    Raises:
        FailedError: the child says so, or ends before one picture is drawn.
    """
    opened = alone = math.nan
    drawn: list[Drawn] = []
    batch, memory, finished = 1, 0, False
    while message := talk.hear():
        if "refused" in message and not finished:
            raise FailedError(_describe_refusal(message, opened))
        if "opened" in message:
            opened = float(message["opened"])
        elif "picture" in message:
            alone = float(message["picture"]) if math.isnan(alone) else alone
            picture = _read_picture(message, talk)
            drawn += [picture] if message["asked"] else []
        elif "alone" in message:
            finished = True
        elif "batch" in message:
            batch = max(batch, int(message["batch"]))
        elif "done" in message:
            memory = int(message["memory"])
            break
    if not finished and not (drawn and late.is_set()):
        raise FailedError(_describe_end(process, opened, late.is_set()))
    return Outcome(batch, limited, tuple(drawn), opened, alone, memory)


def _describe_refusal(message: dict[str, Any], opened: float) -> str:
    while_opening = math.isnan(opened)
    if message["refused"] == "memory":
        where = "while it is opened" if while_opening else "for a picture"
        return f"takes over {ALLOWANCE // 1024**2} MiB of memory {where} beyond what its size accounts for"
    if message["refused"] == "time":
        if 0 < (spent := float(message.get("picture", 0))) <= PICTURE_S:
            return f"takes {spent:.2f} s of the processor for a picture, too long for a file of its size"
        return _describe_slowness(while_opening or opened > OPEN_S)
    verb = "opened as an ONNX model" if while_opening else "run"
    return (
        f"cannot be {verb} ({re.sub(r'^.ONNXRuntimeError. : [0-9]+ : ', '', str(message.get('why'))[:200])})"
    )


def _describe_end(process: subprocess.Popen[bytes], opened: float, late: bool) -> str:
    while_opening = math.isnan(opened)
    if late:
        return f"was not done within {TRIAL_S:.0f} s"
    code = process.wait()
    if os.name == "posix" and code == -getattr(signal, "SIGXCPU", 0):
        return _describe_slowness(while_opening)
    where = "being opened" if while_opening else "drawing a picture"
    return f"ended the process that tried it, by {_name_signal(code)}, on {where}"


def _describe_slowness(while_opening: bool) -> str:
    if while_opening:
        return f"takes over {OPEN_S:.0f} s of the processor to be opened"
    return f"takes over {PICTURE_S:.0f} s of the processor for a picture"


def _name_signal(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"code {code}"


def _read_picture(message: dict[str, Any], talk: _Talk) -> Drawn:
    body = talk.read(int(message["bytes"]))
    shape = tuple(int(side) for side in message["shape"])
    values = None
    if body and len(body) == math.prod(shape) * np.dtype(message["dtype"]).itemsize:
        values = np.frombuffer(body, np.dtype(message["dtype"])).reshape(shape)
    return Drawn(str(message["sha256"]), values)


class _Talk:
    """The two pipes to the child; one that has ended sends nothing."""

    _MOST: Final = 2**25

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._to: IO[bytes] = process.stdin
        self._from: IO[bytes] = process.stdout

    def send(self, *parts: bytes) -> None:
        with contextlib.suppress(OSError, ValueError):
            for part in parts:
                self._to.write(part)
            self._to.flush()

    def hear(self) -> dict[str, Any]:
        """Return the next message; {} if there is none, or it cannot be read."""
        try:
            message = json.loads(self._from.readline(2**16) or b"{}")
        except (OSError, ValueError, RecursionError):
            return {}
        return message if isinstance(message, dict) else {}

    def read(self, count: int) -> bytes:
        return self._from.read(max(0, min(count, self._MOST)))


@contextlib.contextmanager
def _start() -> Iterator[subprocess.Popen[bytes]]:
    """Start the child; at the end it is always killed, and leaves no zombie."""
    environment = {name: value for name, value in os.environ.items() if not _affects_python(name)}
    environment |= {"ORT_DISABLE_TELEMETRY": "1", "MALLOC_ARENA_MAX": "1"}
    environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-S", "-s", "-c", START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise CannotTryError(f"no process can be started ({error})") from None
    try:
        yield process
    finally:
        process.kill()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError, ValueError):
                assert pipe is not None
                pipe.close()
        process.wait()


def _affects_python(name: str) -> bool:
    return name.startswith("PYTHON") and name not in ("PYTHONHOME", "PYTHONPYCACHEPREFIX", "PYTHONUTF8")


@contextlib.contextmanager
def _kill_after(process: subprocess.Popen[bytes], seconds: float) -> Iterator[threading.Event]:
    late = threading.Event()

    def kill() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(seconds, kill)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def _path() -> list[str]:
    """Return the child's module path: that of this process, this package and the runtime."""
    found = [str(Path(__file__).resolve().parents[3])]
    for name in ("numpy", "onnxruntime"):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin:
            found.append(str(Path(spec.origin).resolve().parents[1]))
    own = [os.path.abspath(part) for part in sys.path if isinstance(part, str)]  # noqa: PTH100 ("" is here)
    return list(dict.fromkeys([*own, *found]))
