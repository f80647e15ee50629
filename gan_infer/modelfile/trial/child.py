"""The process in which a model file is tried: it limits itself, opens the file and runs it.

trial/host.py starts it and talks to it through pipes: a line of JSON and the model's bytes come in, lines
of JSON go out. It imports only numpy and the runtime, nothing of this package, so that a hostile file meets
as little code as possible.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import mmap
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

# A batch between 1 and the largest: it measures time and memory better than one picture does, and is the
# result if a larger one fails.
_FIRST_STEP: Final = 8
_MAX_FILES: Final = 16
_PROBE_BYTES: Final = 2**26
# Outputs of up to this many bytes are sent back, of larger ones only the hash.
_MAX_SENT: Final = 2**24

# The number of pictures for which the time is limited together; see trial/host.py.
_MANY: Final = 64

Array = np.ndarray[Any, Any]
Feeds = dict[str, Array]


def main() -> None:
    """Run the trial that stdin describes, and end the process."""
    source = sys.stdin.buffer
    answer = _private_stdout()
    order = json.loads(source.readline())
    import onnxruntime as ort

    tell = _Teller(answer)
    limits = _Limits(order["picture_s"], order["total_s"])
    limits.harden()
    tell(ready=True, limited=limits.set_memory(order["allowance"]))
    model = source.read(order["size"])
    singles = [_read_feeds(source, each) for each in order["singles"]]
    try:
        _try(Runner(ort, model, order["outputs"]), order, singles, limits, tell)
    except MemoryError:
        tell(refused="memory")
    except Exception as error:  # the runtime's exceptions share no public base
        tell(refused="memory" if _is_memory(error) else "error", why=_one_line(error))
    answer.close()
    os._exit(0)  # the runtime may be damaged, so it is not closed


def _try(runner: Runner, order: dict[str, Any], singles: list[Feeds], limits: _Limits, tell: _Teller) -> None:
    limits.set_time(order["open_s"])
    _, spent = _time(runner.open)
    tell(opened=spent)
    if spent > order["open_s"]:
        tell(refused="time")
        return
    inputs = order["inputs"]
    wheres = ["largest", "smallest", "between"] if _are_free(inputs) else []
    asked = singles or ([] if wheres else [_feeds(inputs, 1)])
    limits.set_time(limits.picture_s)
    pictures = [_feeds(inputs, 1, where) for where in wheres] + asked
    first, others = pictures[0], pictures[1:]
    alone_s, room = _draw_twice(runner, first, limits, tell, asked=not wheres)
    if limits.exceeds(room):
        raise MemoryError
    least_s = alone_s
    for feeds in others[: len(wheres[1:])]:
        least_s = min(least_s, _draw_twice(runner, feeds, limits, tell, asked=False)[0])
        if limits.exceeds(room):
            raise MemoryError
    # With free sides the caller chooses how much is computed; only the least must fit the file's size.
    if alone_s > order["picture_s"] or least_s * _MANY > order["many_s"]:
        tell(refused="time", picture=alone_s)
        return
    for feeds in others[len(wheres[1:]) :]:
        if limits.left() > 3 * alone_s:
            _draw(runner, feeds, limits, tell)
    tell(alone=True)
    limits.add_memory(min(room * order["batch"], order["most_room"]))
    _try_batches(runner, order, alone_s, limits, tell)
    tell(done=True, memory=limits.peak())


def _draw_twice(
    runner: Runner, feeds: Feeds, limits: _Limits, tell: _Teller, *, asked: bool
) -> tuple[float, int]:
    """Run one picture twice, because the runtime uses memory differently in the second run; see `_draw`."""
    limits.set_time(limits.picture_s)
    runner.run(feeds)
    with limits.ease():
        return _draw(runner, feeds, limits, tell, asked=asked)


def _draw(
    runner: Runner, feeds: Feeds, limits: _Limits, tell: _Teller, *, asked: bool = True
) -> tuple[float, int]:
    """Run one picture and report it; return the seconds, and the bytes of inputs and outputs."""
    limits.set_time(limits.picture_s)
    results, spent = _time(lambda: runner.run(feeds))
    array = np.ascontiguousarray(results[0])
    sent = array.tobytes() if array.nbytes <= _MAX_SENT else b""
    sha256, shape = hashlib.sha256(array.data).hexdigest(), list(array.shape)
    tell(sent, picture=spent, sha256=sha256, dtype=array.dtype.str, shape=shape, bytes=len(sent), asked=asked)
    # A call asks for one of the outputs only.
    return spent, max(each.nbytes for each in results) + sum(each.nbytes for each in feeds.values())


def _try_batches(
    runner: Runner, order: dict[str, Any], alone_s: float, limits: _Limits, tell: _Teller
) -> None:
    """Run the largest batch that fits, and report each that fits."""
    batch: int = order["batch"]
    while batch > 1 and 2 * alone_s * batch > limits.left():
        batch //= 2
    for step in _steps(batch, order["grows"]):
        done, spent = _run_largest(runner, order, step, limits)
        if done > 1:
            tell(batch=done)
        if done < step or spent / step * order["batch"] > limits.left():
            return


def _run_largest(runner: Runner, order: dict[str, Any], batch: int, limits: _Limits) -> tuple[int, float]:
    """Run a batch or, if it fails and smaller ones need less, half of it, ...; return it and seconds."""
    inputs = [*order["inputs"], *order["optional"]]
    while batch > 1:
        limits.set_time(limits.left() + 1.0)
        try:
            feeds = _feeds(inputs, batch)
            runner.run(feeds)
            with limits.ease():
                spent = _time(lambda given=feeds: runner.run(given))[1]
            if not limits.exceeds():
                return batch, 2 * spent
            if not order["grows"]:
                return 1, 0.0
        except Exception:  # mostly memory; the runtime's exceptions do not say
            if not order["grows"]:
                return 1, 0.0
        batch //= 2
        limits.set_time(limits.left() + 1.0)
        runner.open()  # again, because the runtime keeps its memory
    return 1, 0.0


def _steps(batch: int, grows: bool) -> Iterator[int]:
    if not grows:
        yield from range(2, batch + 1)
        return
    if batch > _FIRST_STEP:
        yield _FIRST_STEP
    yield batch


class Runner:
    """Opens the model as `gan_infer.runtime.session.Session` does, on one thread of the CPU, and runs it."""

    def __init__(self, ort: Any, model: bytes, outputs: list[str]) -> None:
        self._ort, self._model, self._outputs = ort, model, outputs
        self._session: Any = None

    def open(self) -> None:
        """Open the model, or open it anew."""
        self._session = None
        options = self._ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self._session = self._ort.InferenceSession(
            self._model, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )

    def run(self, feeds: Feeds) -> list[Array]:
        """Return the outputs for inputs by name."""
        results: list[Array] = self._session.run(self._outputs, feeds)
        return results


class _Limits:
    """The limits of this process; they do nothing if the system has none."""

    def __init__(self, picture_s: float, total_s: float) -> None:
        self.picture_s = picture_s
        self._end = time.process_time() + total_s
        try:
            import resource
        except ImportError:  # Windows
            self._resource: Any = None
        else:
            self._resource = resource
        self._base = _address_space()
        self._most = 0

    def harden(self) -> None:
        """Allow no written files, few open ones, no core file; be killed first if memory is short."""
        if self._resource is None:
            return
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")
        for name, most in (("CORE", 0), ("FSIZE", 0), ("NOFILE", _MAX_FILES)):
            self._set(f"RLIMIT_{name}", most)

    def set_memory(self, allowance: int) -> bool:
        """Let the address space grow by `allowance` bytes; return whether the system enforces this."""
        if self._resource is None or not self._base:
            return False
        self._most = self._base + allowance
        if not self._set("RLIMIT_AS", self._most, soft_only=True):
            return False
        try:
            mmap.mmap(-1, allowance + _PROBE_BYTES).close()
        except (OSError, ValueError, MemoryError):
            return True
        return False

    def add_memory(self, more: int) -> None:
        """Let the address space grow by `more` bytes in addition."""
        if self._most:
            self._most += more
            self._set("RLIMIT_AS", self._most, soft_only=True)

    @contextlib.contextmanager
    def ease(self) -> Iterator[None]:
        """Let it grow twice as far during the second run of a shape; `exceeds` says whether it did.

        In this run the runtime asks for memory of another layout, and does without if it gets none. So a
        process with limits would need less than one without.
        """
        most, self._most = self._most, 0
        if most:
            self._set("RLIMIT_AS", 2 * most - self._base, soft_only=True)
        yield
        self._most = most
        self.add_memory(0)

    def exceeds(self, more: int = 0) -> bool:
        """Return whether the process has more memory than allowed, plus `more` bytes.

        An eighth of the allowance is reserved for batches of other sizes, whose layout differs.
        """
        return self._most > 0 and _address_space() - self._base > (self._most - self._base) * 7 // 8 + more

    def set_time(self, seconds: float) -> None:
        """Let the processor work for `seconds` more; then the system ends this process."""
        if self._resource is not None:
            self._set("RLIMIT_CPU", math.ceil(time.process_time() + max(0.0, seconds)), soft_only=True)

    def left(self) -> float:
        """Return the seconds of processor time left for the whole trial."""
        return max(0.0, self._end - time.process_time())

    def peak(self) -> int:
        """Return the largest growth of the address space, in bytes; 0 if it is not known."""
        try:
            text = Path("/proc/self/status").read_text()
            peak = next(line for line in text.splitlines() if line.startswith("VmPeak"))
            return max(0, int(peak.split()[1]) * 1024 - self._base)
        except (OSError, StopIteration, ValueError, IndexError):
            return 0

    def _set(self, name: str, most: int, soft_only: bool = False) -> bool:
        kind = getattr(self._resource, name, None)
        if kind is None:
            return False
        try:
            hard = self._resource.getrlimit(kind)[1]
            soft = most if hard < 0 else min(most, hard)  # RLIM_INFINITY is below 0 in Python
            self._resource.setrlimit(kind, (soft, hard if soft_only else soft))
        except (OSError, ValueError):
            return False
        return True


class _Teller:
    """Writes lines of JSON, each with bytes after it if there are any."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __call__(self, body: bytes = b"", **message: Any) -> None:
        self._file.write(json.dumps(message).encode() + b"\n" + body)
        self._file.flush()


def _are_free(inputs: list[list[Any]]) -> bool:
    return any(isinstance(side, list) for _, _, shape in inputs for side in shape)


def _feeds(inputs: list[list[Any]], batch: int, where: str = "largest") -> Feeds:
    """Return inputs for a batch: floats from the normal distribution, zeros for other types.

    Args:
        where: the value of each free side: the largest, the smallest, or one between, an odd number of
            multiples.
    """
    rng = np.random.default_rng(0)
    feeds = {}
    for name, kind, shape in inputs:
        sides = [_side(side, where) for side in shape]
        sides[:1] = [batch if side is None else side for side in shape[:1]]
        if kind in ("<f2", "<f4", "<f8"):
            feeds[name] = rng.standard_normal(sides, np.float32).astype(kind)
        else:
            feeds[name] = np.zeros(sides, kind)
    return feeds


def _side(side: Any, where: str) -> int:
    if not isinstance(side, list):
        return 1 if side is None else int(side)
    low, high, multiple = side
    first, last = -(-low // multiple), high // multiple
    between = max(first, min(last, (first + last) // 2 | 1))
    return int(multiple * {"largest": last, "smallest": first, "between": between}[where])


def _read_feeds(source: BinaryIO, message: dict[str, list[Any]]) -> Feeds:
    feeds = {}
    for name, (kind, shape) in message.items():
        size = np.dtype(kind).itemsize * math.prod(shape)
        feeds[name] = np.frombuffer(source.read(size), kind).reshape(shape)
    return feeds


def _time(work: Any) -> tuple[Any, float]:
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def _private_stdout() -> BinaryIO:
    """Return the pipe to the host; what libraries print goes to stderr."""
    sys.stdout.flush()
    mine = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(mine, "wb")


def _address_space() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError, IndexError):
        return 0


def _is_memory(error: Exception) -> bool:
    text = str(error)
    return "allocate memory" in text or "bad_alloc" in text or "bad allocation" in text


def _one_line(error: Exception) -> str:
    """Return an error in one line, like `text.escaping.one_line`, which this file must not import."""
    text = " ".join(str(error).split())
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:400]
