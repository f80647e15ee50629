"""The GPU's path of buffers and padded batches, run on the CPU provider: padding, cutting, many callers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from gan_infer import Generator
from gan_infer.modelfile.catalog import find
from gan_infer.runtime.cuda_graphs import SIZES, BucketedSession, size_for
from tests.conftest import TINY, Kind

Models = Callable[[Kind], Path]


def opener(path: Path) -> Callable[[bool], ort.InferenceSession]:
    def open_session(graphs: bool) -> ort.InferenceSession:
        return ort.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])

    return open_session


@pytest.fixture
def bucketed() -> Iterator[BucketedSession]:
    session = BucketedSession(opener(find("digits")), "cpu", 0)
    yield session
    session.close()


def test_a_batch_goes_into_the_smallest_size_that_holds_it() -> None:
    assert [size_for(count) for count in (1, 2, 3, 4, 5, 33, 64, 65, 1000)] == [1, 2, 4, 4, 8, 64, 64, 64, 64]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 9, 33, 64, 65, 150])
def test_pictures_are_those_of_a_plain_run(bucketed: BucketedSession, count: int) -> None:
    generator = Generator.load("digits", device="cpu")
    latent, label = generator.latents(range(count)), np.arange(count) % 10
    for shift in (0, 3):  # the second run finds other rows in the padding
        labels = (label + shift) % 10
        (got,) = bucketed.run(["image"], {"latent": latent, "label": labels})
        assert got.tobytes() == generator(latent, labels).tobytes()


def test_what_was_given_out_stays_as_it_was(bucketed: BucketedSession) -> None:
    generator = Generator.load("digits", device="cpu")
    (first,) = bucketed.run(["image"], {"latent": generator.latents([1]), "label": np.array([4])})
    before = first.tobytes()
    bucketed.run(["image"], {"latent": generator.latents([2]), "label": np.array([7])})
    assert first.tobytes() == before


def test_any_number_of_batch_sizes_and_callers_needs_only_the_fixed_sizes(bucketed: BucketedSession) -> None:
    generator = Generator.load("digits", device="cpu")

    def draw(seed: int) -> bytes:
        count = 1 + seed % 17
        feeds = {"latent": generator.latents(range(seed, seed + count)), "label": np.full(count, seed % 10)}
        return bytes(bucketed.run(["image"], feeds)[0].tobytes())

    made: list[object] = []
    bind = bucketed.session.io_binding
    bucketed.session.io_binding = lambda: made.append(bind()) or made[-1]
    with ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(draw, range(68)))
    for seed in range(68):
        assert drawn[seed] == generator.sample(1 + seed % 17, seed % 10, seed).tobytes()
    assert len(made) == len([size for size in SIZES if size <= 32])  # batches have 1 to 17 rows


def test_an_unconditional_model_runs_too(model_file: Models) -> None:
    generator = Generator.load(model_file(TINY), device="cpu")
    session = BucketedSession(opener(model_file(TINY)), "cpu", 0)
    latent = generator.latents(range(5))
    assert session.run(["image"], {"latent": latent})[0].tobytes() == generator(latent).tobytes()
    session.close()


def test_graphs_that_the_runtime_refuses_or_breaks_are_done_without() -> None:
    generator = Generator.load("digits", device="cpu")
    feeds = {"latent": generator.latents([1, 2, 3]), "label": np.array([4, 4, 4])}
    expected = generator(*feeds.values()).tobytes()
    opened: list[bool] = []

    def refuse(graphs: bool) -> ort.InferenceSession:
        opened.append(graphs)
        if graphs:
            raise RuntimeError("not every node is on the GPU")
        return opener(find("digits"))(graphs)

    session = BucketedSession(refuse, "cpu", 0, graphs=True)
    assert opened == [True, False]
    assert not session.graphs
    session.close()

    session = BucketedSession(opener(find("digits")), "cpu", 0, graphs=True)
    assert session.graphs
    real_run = session.session.run_with_iobinding
    runs: list[str] = []

    def break_the_capture(binding: object, options: ort.RunOptions) -> None:
        runs.append(options.get_run_config_entry("gpu_graph_id"))
        if runs[-1] != "-1":
            raise RuntimeError("capture failed")
        real_run(binding, options)

    session.session.run_with_iobinding = break_the_capture
    assert session.run(["image"], feeds)[0].tobytes() == expected
    assert runs == ["-1", "1"]
    assert not session.graphs
    session.close()


def test_a_captured_graph_that_gives_other_values_than_a_plain_run_is_dropped() -> None:
    generator = Generator.load("digits", device="cpu")
    feeds = {"latent": generator.latents([1, 2, 3]), "label": np.array([4, 4, 4])}
    session = BucketedSession(opener(find("digits")), "cpu", 0, graphs=True)
    real_run = session.session.run_with_iobinding
    graph_runs = 0

    def play_back_nothing(binding: object, options: ort.RunOptions) -> None:
        nonlocal graph_runs
        graph_runs += options.get_run_config_entry("gpu_graph_id") != "-1"
        if graph_runs < 2:  # the capture itself is right, what is played back is not
            real_run(binding, options)

    session.session.run_with_iobinding = play_back_nothing
    assert session.run(["image"], feeds)[0].tobytes() == generator(*feeds.values()).tobytes()
    assert graph_runs == 2
    assert not session.graphs
    session.close()


def test_a_gpu_that_fails_at_its_first_run_fails_on_opening() -> None:
    session = BucketedSession(opener(find("digits")), "cpu", 0)

    def fail(*_: object) -> None:
        raise RuntimeError("no kernel image is available for execution on the device")

    session.session.run_with_iobinding = fail
    with pytest.raises(RuntimeError, match="no kernel image"):
        session.try_out()
    session.close()
