"""What becomes of a generator that is forked, pickled, copied, closed or shared."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import os
import pickle
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnxruntime as ort
import pytest
from joblib.externals.loky import get_reusable_executor

from gan_infer import Generator, ModelError, OptionError
from gan_infer.modelfile.catalog import find
from gan_infer.runtime import cpu_count
from gan_infer.runtime.session import Session
from tests.conftest import CONDITIONAL, Kind, make_metadata

Models = Callable[[Kind], Path]
Script = Callable[..., str]

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes do not fork here")

# Forks; the child does CHILD and ends in full; then the parent says how the child ended, and draws.
FORK = """
import os, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from gan_infer import Generator
generator = Generator.load("digits", device="cpu", threads=2)
before = generator.sample(3, label=4, seed=1).tobytes()
{before}
child = os.fork()
if child == 0:
    {child}
    sys.exit(0)
print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print("parent", generator.sample(3, label=4, seed=1).tobytes() == before)
"""


def watch_starts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, object]]:
    """Return a list that grows by (threads, providers) with each session that the runtime starts."""
    started: list[tuple[int, object]] = []
    start = ort.InferenceSession

    def watched(model: bytes, options: ort.SessionOptions, providers: object, **named: Any) -> Any:
        started.append((options.intra_op_num_threads, providers))
        return start(model, options, providers=providers, **named)

    monkeypatch.setattr(ort, "InferenceSession", watched)
    return started


# Threads.


def test_the_default_is_the_cores_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_count, "count_usable", lambda: 3)
    started = watch_starts(monkeypatch)
    Generator.load("digits", device="cpu").close()
    Generator.load("digits", device="cpu", threads=1).close()
    assert [threads for threads, _ in started] == [3, 1]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads cannot be counted here")
def test_threads_are_as_many_as_asked_for() -> None:
    def count() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    before = count()
    with Generator.load("digits", device="cpu", threads=1):
        assert count() == before
    with Generator.load("digits", device="cpu", threads=5):
        assert count() == before + 4  # the caller is the fifth


def test_threads_sleep_between_runs_where_asked_to() -> None:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    options.add_session_config_entry("session.force_spinning_stop", "1")
    burnt = 0.0
    with Generator.load("digits", device="cpu", session_options=options) as generator:
        for _ in range(40):
            generator.sample(1)
            start = time.process_time()
            time.sleep(0.005)
            burnt += time.process_time() - start
    assert burnt < 40 * 0.001


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2", 1025])
def test_threads_out_of_range_are_refused(threads: object) -> None:
    with pytest.raises(OptionError, match="at least 1, at most 1,024"):
        Generator.load("digits", threads=threads)  # type: ignore[arg-type]


def test_threads_beside_options_are_refused() -> None:
    with pytest.raises(OptionError, match="both given"):
        Generator.load("digits", session_options=ort.SessionOptions(), threads=2)


def test_eight_threads_of_200_calls_get_the_bytes_of_serial_calls() -> None:
    with Generator.load("digits", device="cpu") as generator:

        def draw(seed: int) -> bytes:
            return generator.sample(1, label=seed % 10, seed=seed).tobytes()

        serial = [draw(seed) for seed in range(1600)]
        with ThreadPoolExecutor(8) as pool:
            shared = list(pool.map(draw, range(1600)))
    assert shared == serial


def test_many_concurrent_awaits_get_the_bytes_of_serial_calls(conditional: Generator) -> None:
    async def draw(seed: int) -> bytes:
        pictures = await asyncio.to_thread(conditional.sample, 2, label=seed % 10, seed=seed)
        return pictures.tobytes()

    async def draw_all() -> list[bytes]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        drawn = await asyncio.gather(*map(draw, range(100)))
        ticking.cancel()
        assert ticks > 1  # the loop turned meanwhile
        return drawn

    assert asyncio.run(draw_all()) == [
        conditional.sample(2, label=seed % 10, seed=seed).tobytes() for seed in range(100)
    ]


# Forks.


@needs_fork
@pytest.mark.parametrize(
    "child",
    [
        "pass",
        "del generator; import gc; gc.collect()",
        "generator.close()",
        "assert generator.sample(3, label=4, seed=1).tobytes() == before",
        "generator.sample(1); generator.close(); del generator",
        "generator = Generator.load('digits', device='cpu', threads=2); generator.sample(64)",
    ],
)
def test_a_child_may_use_or_drop_what_it_inherited(run_script: Script, child: str) -> None:
    assert run_script(FORK.format(before="", child=child)).split() == ["child", "0", "parent", "True"]


@needs_fork
def test_a_fork_in_the_midst_of_other_threads_runs(run_script: Script) -> None:
    # The session's own lock may be held at the fork, by a thread that the child does not have.
    before = """
stop = threading.Event()
def draw():
    while not stop.is_set():
        generator.sample(8)
workers = [threading.Thread(target=draw, daemon=True) for _ in range(3)]
for worker in workers: worker.start()
time.sleep(0.1)
generator._session._lock.acquire()
threading.Timer(0.2, generator._session._lock.release).start()
"""
    child = "assert generator.sample(3, label=4, seed=1).tobytes() == before; os._exit(0)"
    after = "stop.set()\nfor worker in workers: worker.join()\n"
    assert run_script(FORK.format(before=before, child=child) + after).split() == [
        "child",
        "0",
        "parent",
        "True",
    ]


@needs_fork
def test_a_childs_child_runs_too(run_script: Script) -> None:
    child = """generator.sample(1)
    grandchild = os.fork()
    if grandchild == 0:
        sys.exit(0 if generator.sample(3, label=4, seed=1).tobytes() == before else 3)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))"""
    assert run_script(FORK.format(before="", child=child)).split() == ["child", "0", "parent", "True"]


@needs_fork
def test_a_session_of_a_gpu_says_that_it_does_not_outlive_a_fork(run_script: Script) -> None:
    code = """
import os, sys
from gan_infer import DeviceError
from gan_infer.modelfile.catalog import find
from gan_infer.runtime.session import Session
session = Session(find("digits").read_bytes(), source="digits", device="cpu")
session.device = "cuda:0"  # as if
child = os.fork()
if child == 0:
    try:
        session.run(["image"], {})
    except DeviceError as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""
    assert re.search(r"cuda:0 before this process was forked.*spawn", run_script(code))


def test_the_runtime_does_not_report_its_use(run_script: Script) -> None:
    code = """
import os
os.environ.pop("ORT_DISABLE_TELEMETRY", None)
from gan_infer import Generator
threads = len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else None
generator = Generator.load("digits", device="cpu", threads=1)
assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
if threads:  # no thread that uploads
    assert len(os.listdir("/proc/self/task")) == threads
"""
    assert run_script(code) == ""


# Pickles.


def test_a_pickle_is_small_and_holds_the_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(find("digits"), tmp_path / "own.onnx")
    generator = Generator.load(tmp_path / "own.onnx", providers=[("CPUExecutionProvider", {})], threads=2)
    packed = pickle.dumps(generator)
    assert len(packed) < 1000
    started = watch_starts(monkeypatch)
    again = pickle.loads(packed)
    assert started == [(2, [("CPUExecutionProvider", {})])]
    assert again.sample(3, label=4, seed=1).tobytes() == generator.sample(3, label=4, seed=1).tobytes()
    assert copy.deepcopy(generator).sample(1, seed=2).tobytes() == generator.sample(1, seed=2).tobytes()


def test_a_relative_path_is_found_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(find("digits"), tmp_path / "own.onnx")
    monkeypatch.chdir(tmp_path)
    packed = pickle.dumps(Generator.load("own.onnx", device="cpu"))
    monkeypatch.chdir("/")
    assert pickle.loads(packed).source == str(tmp_path / "own.onnx")


def test_a_shipped_name_stays_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = pickle.dumps(Generator.load("digits", device="cpu"))
    assert str(find("digits").parent).encode() not in packed
    monkeypatch.chdir(tmp_path)  # a folder of that name does not come between
    (tmp_path / "digits").mkdir()
    assert pickle.loads(pickle.dumps(Generator.load("digits", device="cpu"))).name == "digits"
    assert pickle.loads(packed).name == "digits"


def test_a_file_that_changed_or_went_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.onnx"
    shutil.copy(find("digits"), path)
    packed = pickle.dumps(Generator.load(path, device="cpu"))
    shutil.copy(find("fashion"), path)
    with pytest.raises(ModelError, match=r"own.onnx changed since the generator was pickled"):
        pickle.loads(packed)
    path.unlink()
    with pytest.raises(ModelError, match=r"own.onnx"):
        pickle.loads(packed)


def test_what_came_from_no_file_cannot_be_pickled() -> None:
    model = find("digits").read_bytes()
    session = Session(model, source="a test", device="cpu")
    generator = Generator(session, make_metadata(CONDITIONAL), "a test")
    with pytest.raises(OptionError, match="not loaded from a file"):
        pickle.dumps(generator)
    generator = Generator.load("digits", session_options=ort.SessionOptions())
    with pytest.raises(OptionError, match="session_options"):
        pickle.dumps(generator)


def test_joblib_carries_it() -> None:
    with Generator.load("digits", device="cpu") as generator:
        drawn = joblib.Parallel(n_jobs=2, backend="loky")(
            joblib.delayed(generator.sample)(1, label=4, seed=seed) for seed in range(6)
        )
        expected = generator.sample(6, label=4, seed=0)
    get_reusable_executor().shutdown(wait=True)
    assert np.concatenate(drawn).tobytes() == expected.tobytes()


# The end.


def test_calls_after_the_end_are_refused_in_a_clear_line() -> None:
    with Generator.load("digits", device="cpu") as generator:
        batches = generator.iter_batches(200)
        next(batches)
        assert generator.sha256  # worked out once, and no way round the end
    generator.close()  # again, which is no harm
    for call in (
        lambda: generator.sample(1),
        lambda: generator(generator.latents([1]), [4]),
        lambda: generator.grid(label=4),
        lambda: next(batches),
        lambda: pickle.dumps(generator),
    ):
        with pytest.raises(ModelError, match="was closed; load it again"):
            call()
    assert generator.name == "digits"  # what it was can still be asked


def test_a_run_under_way_ends_before_the_session_goes() -> None:
    generator = Generator.load("digits", device="cpu")
    expected = generator.sample(64, label=4, seed=0).tobytes()
    started = threading.Event()
    drawn: list[bytes] = []
    refusals: list[str] = []

    def draw() -> None:
        started.set()
        try:
            while True:
                drawn.append(generator.sample(64, label=4, seed=0).tobytes())
        except ModelError as error:
            refusals.append(str(error))

    worker = threading.Thread(target=draw)
    worker.start()
    started.wait()
    while not drawn:
        pass
    generator.close()
    worker.join(30)
    assert not worker.is_alive()
    assert set(drawn) == {expected}
    assert len(refusals) == 1
    assert "was closed" in refusals[0]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_closing_frees_memory(run_script: Script) -> None:
    code = """
import sys
from gan_infer import Generator
def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6
def load(kept):
    for _ in range(8):
        generator = Generator.load("digits", device="cpu", threads=2)
        generator.sample(16)
        kept.append(generator) if keep else generator.close()
        kept.append(generator)  # closed, it may be referred to and still holds nothing
keep, kept = False, []
load(kept)
start = resident_mb()
load(kept); load(kept)
closed = resident_mb()
keep = True
load(kept); load(kept)
print(closed - start, resident_mb() - closed)
"""
    closed, left_open = map(float, run_script(code).split())
    assert left_open > 30  # what 16 generators take: growth would be seen
    assert closed < left_open / 5


def test_a_failing_run_is_a_clear_error() -> None:
    session = Session(find("digits").read_bytes(), source="digits", device="cpu")
    with contextlib.closing(session), pytest.raises(ModelError, match="cannot be run"):
        session.run(["image"], {"latent": np.zeros((1, 3), np.float32)})
