"""What passes the vetting takes no more than is stated: small graphs, against the runtime."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from gan_infer import ModelError
from gan_infer.modelfile import safety
from gan_infer.modelfile.safety import free_sides, graph
from tests import free_graphs, graph_fuzz, kinds_of_files
from tests.graph_fuzz import BATCH, MIB, Ran, Runner

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs forks and their limits")

# Words that one call may need at once, as the SDK has it; larger pictures are drawn fewer at a time.
CALL = 2**28

Points = Sequence[Sequence[int]]


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    runner = Runner()
    yield runner
    runner.close()


def compare(body: bytes, runner: Runner, counts: Counter[str], points: Points = ((),)) -> str:
    """Vet and run a file; give what is wrong, or "".

    Twice what is needed at once, for the runtime keeps what earlier batches took.

    Args:
        points: the free sides of each run; the first ones are the largest.
    """
    try:
        summary = safety.check(body, "it")
    except ModelError as error:
        counts["refused"] += 1
        return "" if len(str(error).splitlines()) == 1 else "a refusal of many lines"
    batch = max(1, min(BATCH, CALL // max(1, summary.live)))
    ran = runner.run(body, batch=batch, seconds=60, points=points)
    counts["accepted"] += 1
    counts["ran"] += ran.code == 0
    stated = 2 * 4 * (batch * summary.live + summary.kept) + 8 * len(body) + 32 * MIB
    if ran.code not in (0, 1):
        return f"the process ended with {ran.code}"
    if ran.taken > stated:
        return f"took {ran.taken / MIB:.0f} MiB, stated {stated / MIB:.0f}"
    if 0 < len(ran.shapes) < len(points):
        return f"runs with sides of {points[0]}, and not of {points[len(ran.shapes)]}"
    if points != ((),) and (wrong := wrong_shape(body, points, batch, ran)):
        return wrong
    runs = len(points) * (batch + 1)
    return "" if ran.seconds < 5 * runs else f"took {ran.seconds:.1f} s for {runs}"


def wrong_shape(body: bytes, points: Points, batch: int, ran: Ran) -> str:
    """Compare the size that the vetting found, at each point, with what was made there; give what differs."""
    model = graph.read(body)
    values = safety.trace(model, len(body), listed=free_sides.read(model.metadata)).values
    for point, (made,) in zip(points, ran.shapes, strict=False):
        found = free_graphs.shape_at(values[model.outputs[0].name].shape, values["source"].shape[1:3], point)
        if [each * batch if per_picture else each for each, per_picture in found] != made:
            return f"makes {made} with sides of {point}, stated {found}"
    return ""


def faults(seeds: range, runner: Runner, counts: Counter[str]) -> dict[int, str]:
    found = {seed: compare(graph_fuzz.case(seed), runner, counts) for seed in seeds}
    return {seed: what for seed, what in found.items() if what}


def faults_of_free_sides(seeds: range, runner: Runner, counts: Counter[str]) -> dict[int, str]:
    found = {}
    for seed in seeds:
        body, bounds = free_graphs.case(seed)
        found[seed] = compare(body, runner, counts, free_graphs.points(bounds, seed))
    return {seed: what for seed, what in found.items() if what}


def test_graphs_of_free_sides_take_no_more_than_stated_at_any_of_them(runner: Runner) -> None:
    counts: Counter[str] = Counter()
    assert not faults_of_free_sides(range(60), runner, counts)
    assert counts["ran"] >= 15
    assert counts["refused"] >= 15


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_thousands_of_graphs_of_free_sides_take_no_more_than_stated(part: int, runner: Runner) -> None:
    counts: Counter[str] = Counter()
    assert not faults_of_free_sides(range(400 * part, 400 * (part + 1)), runner, counts)
    assert counts["ran"] >= 100


def test_some_graphs_take_no_more_than_stated(runner: Runner) -> None:
    counts: Counter[str] = Counter()
    assert not faults(range(250), runner, counts)
    assert counts["ran"] >= 40
    assert counts["refused"] >= 100


@pytest.mark.slow
@pytest.mark.parametrize("part", range(20))
def test_twenty_thousand_graphs_take_no_more_than_stated(part: int, runner: Runner) -> None:
    counts: Counter[str] = Counter()
    assert not faults(range(1000 * part, 1000 * (part + 1)), runner, counts)
    assert counts["ran"] > 150


def test_what_is_measured_shows_what_is_taken(runner: Runner) -> None:
    nodes, tensors = kinds_of_files.enlarged(1, 1, 2000, 4000)
    body = kinds_of_files.drawing([*nodes, kinds_of_files.node("Tanh", "x", "big")], tensors)
    ran = runner.run(body, batch=1)
    assert ran.code == 0
    assert 25 < ran.taken / MIB < 100  # 8 million elements, once or more
    assert runner.run(body, batch=1, limit=16 * MIB).code == 1


def test_small_files_that_take_much_are_refused_or_take_little(runner: Runner) -> None:
    cases = list(kinds_of_files.small_and_costly(300))
    assert len({body for _, body in cases}) > 250
    counts: Counter[str] = Counter()
    wrong = {name: what for name, body in cases if (what := compare(body, runner, counts))}
    assert not wrong
    # They are hostile: of those that pass none may take what makes them so.
    assert counts["accepted"] <= 0.05 * len(cases)
    assert max(map(len, (body for _, body in cases))) < 4096
