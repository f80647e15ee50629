"""The same seed and label give the same bytes, whatever is around them; on the shipped models."""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

from gan_infer import Generator
from gan_infer.modelfile.catalog import shipped_models

COUNT = 1000
FIRST = 40
# Seeds at the ends, in the middle and beside the ends of batches of 64.
SOME = (0, 1, 63, 64, 500, 998, 999)

needs_fork = pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="processes do not fork here"
)


def labels(count: int, first: int = 0) -> list[int]:
    """Return labels that do not follow from the seed."""
    return [(7 * index + 3) % 10 for index in range(first, first + count)]


def digest(pictures: np.ndarray) -> str:
    return hashlib.sha256(pictures.tobytes()).hexdigest()


def draw(generator: Generator, index: int, count: int = 1) -> np.ndarray:
    """Return pictures index, index + 1, ... of the reference, drawn apart from the others."""
    return generator.sample(count, labels(count, index), FIRST + index)


def draw_digest(generator: Generator, index: int) -> str:
    return digest(draw(generator, index))


@pytest.fixture(scope="module", params=sorted(shipped_models()))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def generator(name: str) -> Generator:
    return Generator.load(name, device="cpu")


@pytest.fixture(scope="module")
def reference(generator: Generator) -> np.ndarray:
    """Return COUNT pictures, one call."""
    pictures = draw(generator, 0, COUNT)
    assert len({picture.tobytes() for picture in pictures}) == COUNT
    return pictures


def test_in_batches_of_any_size(generator: Generator, reference: np.ndarray) -> None:
    for size, count in ((1, 130), (7, COUNT), (64, COUNT), (COUNT, COUNT)):
        parts = generator.iter_batches(count, labels(count), FIRST, batch_size=size)
        assert np.concatenate(list(parts)).tobytes() == reference[:count].tobytes(), f"batch {size}"


def test_at_any_position_in_the_batch(generator: Generator, reference: np.ndarray) -> None:
    for position in (0, 1, 6, 31, 63):
        around = np.arange(64) + 2000
        around[position] = FIRST + 500
        classes = np.array(labels(64))
        classes[position] = labels(1, 500)[0]
        pictures = generator(generator.latents(around), classes)
        assert pictures[position].tobytes() == reference[500].tobytes(), f"position {position}"


@pytest.mark.parametrize("threads", [1, 2])
def test_with_any_number_of_threads(name: str, reference: np.ndarray, threads: int) -> None:
    with Generator.load(name, device="cpu", threads=threads) as generator:
        assert draw(generator, 0, 300).tobytes() == reference[:300].tobytes()
        for index in SOME:
            assert draw(generator, index).tobytes() == reference[index].tobytes()


def test_another_seed_or_label_gives_another_picture(generator: Generator, reference: np.ndarray) -> None:
    label = labels(1)[0]
    assert generator.sample(1, label, FIRST + 1).tobytes() != reference[0].tobytes()
    assert generator.sample(1, (label + 1) % 10, FIRST).tobytes() != reference[0].tobytes()


def test_in_another_process(name: str, reference: np.ndarray) -> None:
    code = f"""
import hashlib
from gan_infer import Generator
generator = Generator.load({name!r}, device="cpu")
for index in {SOME}:
    picture = generator.sample(1, (7 * index + 3) % 10, {FIRST} + index)
    print(hashlib.sha256(picture.tobytes()).hexdigest())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [digest(reference[index : index + 1]) for index in SOME]


def test_from_a_pool_of_threads(generator: Generator, reference: np.ndarray) -> None:
    with ThreadPoolExecutor(8) as pool:
        for index, picture in enumerate(pool.map(lambda index: draw(generator, index), range(200))):
            assert picture.tobytes() == reference[index : index + 1].tobytes(), index


def test_from_many_tasks_of_asyncio(generator: Generator, reference: np.ndarray) -> None:
    async def draw_all() -> list[np.ndarray]:
        return await asyncio.gather(*(asyncio.to_thread(draw, generator, index) for index in range(100)))

    for index, picture in enumerate(asyncio.run(draw_all())):
        assert picture.tobytes() == reference[index : index + 1].tobytes(), index


def test_after_a_pickle(generator: Generator, reference: np.ndarray) -> None:
    with pickle.loads(pickle.dumps(generator)) as copy:
        assert draw(copy, 0, 70).tobytes() == reference[:70].tobytes()
    assert draw(generator, 0).tobytes() == reference[:1].tobytes()  # it was the copy alone that closed


def in_processes(method: str, generator: Generator) -> list[str]:
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        return list(pool.map(draw_digest, [generator] * len(SOME), SOME))


def test_carried_to_processes_that_are_started_afresh(generator: Generator, reference: np.ndarray) -> None:
    assert in_processes("spawn", generator) == [digest(reference[index : index + 1]) for index in SOME]


@needs_fork
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_carried_to_processes_that_are_forked(generator: Generator, reference: np.ndarray) -> None:
    assert in_processes("fork", generator) == [digest(reference[index : index + 1]) for index in SOME]


@needs_fork
@pytest.mark.parametrize("threads", [1, 2])
def test_after_a_fork(run_script: Callable[..., str], name: str, reference: np.ndarray, threads: int) -> None:
    # The child ends in full, as a program does, so that what it inherited is torn down as well.
    code = f"""
import hashlib, os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from gan_infer import Generator
generator = Generator.load({name!r}, device="cpu", threads={threads})
def show():
    for index in {SOME}:
        picture = generator.sample(1, (7 * index + 3) % 10, {FIRST} + index)
        print(hashlib.sha256(picture.tobytes()).hexdigest(), flush=True)
generator.sample(64)
child = os.fork()
if child == 0:
    show()
    sys.exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
show()
"""
    expected = [digest(reference[index : index + 1]) for index in SOME]
    assert run_script(code).split() == [*expected, "0", *expected]
