from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_infer import Generator
from gan_infer.errors import DataError
from gan_train import data
from gan_train.config.options import DataOptions
from gan_train.data import PictureSet
from gan_train.metrics import classifier, scores, split
from gan_train.metrics.evaluator import Evaluator
from gan_train.metrics.measure import Comparison, Measure, Metric


def discs(count: int, seed: int = 0) -> PictureSet:
    """Return pictures of bright discs of any size and place, in one of four quarters: the class."""
    random = np.random.RandomState(seed)
    labels = np.arange(count) % 4
    centre = random.uniform(3, 5, (count, 2)) + 8 * np.stack([labels // 2, labels % 2], 1)
    size = random.uniform(1.5, 3, count)
    rows, columns = np.mgrid[:16, :16]
    far = np.hypot(rows[None] - centre[:, :1, None], columns[None] - centre[:, 1:, None])
    images = 230 / (1 + np.exp(2 * (far - size[:, None, None]))) + random.normal(0, 4, far.shape)
    names = ("north-west", "north-east", "south-west", "south-east")
    return PictureSet.from_arrays("discs", images.clip(0, 255).astype(np.uint8)[..., None], labels, names)


REAL = discs(600)
FRESH = discs(400, seed=1)


@pytest.fixture(scope="module")
def evaluator(tmp_path_factory: pytest.TempPathFactory) -> Evaluator:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANFORGE_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setattr(classifier, "MOST_IMAGES", 3000)
        return Evaluator.prepare(REAL, "auto", 200, full=True)


def noisy(images: np.ndarray, sigma: float) -> np.ndarray:
    noise = np.random.RandomState(0).normal(0, sigma, images.shape)
    return (images + noise).clip(0, 255).astype(np.uint8)


def test_fresh_real_pictures_score_as_the_baseline(evaluator: Evaluator) -> None:
    assert FRESH.labels is not None
    got, real = evaluator.score_pictures(FRESH.images, FRESH.labels), evaluator.baseline
    assert real.protocol["samples"] == 120
    for name in ("precision", "recall", "coverage", "density", "label_accuracy", "variety"):
        assert got.as_baseline[name] == pytest.approx(real.values[name], abs=0.2), name
    assert got.values["label_accuracy"] > 0.95
    assert got.values["memorised"] < 0.06
    assert got.values["memorised_pixels"] < 0.06
    assert set(got.values) == set(scores.MEASURES)
    assert json.loads(json.dumps(got.protocol)) == got.protocol


def test_known_faults_show_where_they_should(evaluator: Evaluator) -> None:
    assert FRESH.labels is not None
    images, labels = FRESH.images, FRESH.labels
    good = evaluator.score_pictures(images, labels).values
    distances = [
        evaluator.score_pictures(noisy(images, sigma), labels).values["frechet"] for sigma in (10, 40, 80)
    ]
    assert good["frechet"] < distances[0] < distances[1] < distances[2]
    few = evaluator.score_pictures(images[np.arange(400) % 8], labels).values
    assert few["variety"] < 0.75 * good["variety"]
    assert few["coverage"] < 0.5 * good["coverage"]
    alike = evaluator.score_pictures(images[np.arange(400) % 4], labels).values
    assert alike["variety"] == pytest.approx(0, abs=1e-6)
    dropped = images[np.flatnonzero(labels != 3)]
    lost = evaluator.score_pictures(dropped, labels[labels != 3]).values
    assert lost["coverage"] < 0.85 * good["coverage"]
    assert lost["precision"] == pytest.approx(good["precision"], abs=0.1)
    wrong = evaluator.score_pictures(images, (labels + 1) % 4).values
    assert wrong["label_accuracy"] < 0.05
    assert wrong["frechet"] == pytest.approx(good["frechet"])
    assert wrong["intra_class_frechet"] > 5 * good["intra_class_frechet"]
    copies = evaluator.score_pictures(REAL.images[:300], labels[:300]).values
    assert copies["memorised"] == copies["memorised_pixels"] == 1


def test_scores_repeat_themselves_and_leave_random_state_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "MOST_IMAGES", 1000)
    asked: list[tuple[int, np.ndarray | None]] = []

    def draw(count: int, labels: np.ndarray | None) -> np.ndarray:
        asked.append((count, labels))
        return FRESH.images[:count]

    before = torch.get_rng_state()
    found = [Evaluator.prepare(REAL, "auto", 100, seed=3).score(draw) for _ in range(2)]
    found.append(Evaluator.prepare(REAL, "auto", 100, seed=3).score(draw, conditional=False))
    assert torch.equal(torch.get_rng_state(), before)
    assert found[0] == found[1]
    assert found[2].values["frechet"] == found[0].values["frechet"]
    assert "label_accuracy" not in found[2].values
    assert not {"memorised", "intra_class_frechet"} & set(found[0].values)
    assert asked[0][0] == 100
    assert np.bincount(asked[0][1]).tolist() == [25] * 4
    assert asked[2] == (100, None)
    assert [one.protocol["labels"] for one in found[1:]] == [
        "in the data's proportions",
        "none of the data's",
    ]


def test_pictures_without_labels_are_judged_too() -> None:
    bare = REAL.without("class")
    said: list[str] = []
    evaluator = Evaluator.prepare(bare, "auto", 120, say=said.append)
    values = evaluator.score_pictures(FRESH.images[:120]).values
    worse = evaluator.score_pictures(noisy(FRESH.images[:120], 20)).values
    assert values["frechet"] < worse["frechet"]
    assert "label_accuracy" not in values
    assert said == [
        "judging by features of random-convolutions: small grey pictures without labels; "
        "no trained network knows their kind"
    ]


@pytest.mark.parametrize("count", [10, 12, 40])
def test_very_few_pictures_give_the_scores_that_can_be_had(count: int) -> None:
    tiny = PictureSet.from_arrays("tiny", REAL.images[:count])
    values = Evaluator.prepare(tiny, "pixels", 50, full=True).score_pictures(FRESH.images[:50]).values
    assert "frechet" in values
    assert all(math.isfinite(value) for value in values.values())


def test_costly_features_of_the_data_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "MOST_IMAGES", 500)
    first = Evaluator.prepare(REAL, "pixels", 50)
    costly = dataclasses.replace(first.choice, network=dataclasses.replace(first.choice.network, costly=True))
    extracted = []
    extract = costly.network.extract
    watched = dataclasses.replace(
        costly,
        network=dataclasses.replace(
            costly.network, extract=lambda b: (extracted.append(len(b)), extract(b))[1]
        ),
    )
    found = [Evaluator(REAL, watched, "hash", 50, 0, False).score_pictures(FRESH.images) for _ in range(2)]
    assert sum(extracted) == 480 + 2 * 400
    assert found[0] == found[1]
    Evaluator(REAL, watched, "another hash", 50, 0, False)
    assert sum(extracted) == 2 * 480 + 2 * 400


def test_a_metric_of_the_table_is_taken_where_the_data_has_its_columns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bare = REAL.without("class")

    def compute(compared: Comparison) -> dict[str, float]:
        return {"brightness": float(compared.samples.features.mean())}

    brightness = Measure("brightness", "mean brightness", ".1f", aim="as real", chart="Brightness")
    metric = Metric(
        (brightness,),
        compute,
        protocol=lambda samples, reference, full: f"of {samples}",
        protocol_name="mean",
    )
    monkeypatch.setitem(scores.METRICS, "brightness", metric)
    monkeypatch.setitem(scores.METRICS, "loudness", dataclasses.replace(metric, needs=frozenset({"audio"})))
    found = Evaluator.prepare(bare, "pixels", 50).score(lambda count, _: FRESH.images[:count])
    assert found.values["brightness"] == pytest.approx(FRESH.images[:50].mean() / 255, rel=1e-5)
    assert found.describe()[-1] == "mean        of 50"
    assert [line.split() for line in scores.table({"ours": {"brightness": 0.25}})[1:]] == [
        ["mean", "brightness", "0.2", "as", "real"]
    ]
    only = dataclasses.replace(metric, needs=frozenset({"audio"}))
    monkeypatch.setitem(scores.METRICS, "brightness", only)
    found = Evaluator.prepare(bare, "pixels", 50).score(lambda count, _: FRESH.images[:count])
    assert "brightness" not in found.values


def test_every_measure_has_a_title_and_a_chart_shares_its_limits() -> None:
    for name, measure in scores.MEASURES.items():
        assert name == measure.name
        assert measure.title
        assert format(0.5, measure.form)
        together = [other for other in scores.MEASURES.values() if other.chart == measure.chart]
        if measure.chart:
            assert {other.limits for other in together} == {measure.limits}
            assert len({other.curve for other in together}) == len(together)
    assert scores.MEASURES["frechet"].better == "lower"
    assert scores.MEASURES["recall"].better == "higher"
    assert scores.MEASURES["frechet"].short(12.34567) == "Frechet distance 12.35"


def test_samples_of_another_size_are_refused(evaluator: Evaluator) -> None:
    with pytest.raises(DataError, match=r"expected \[n, 16, 16, 1\] with n >= 2"):
        evaluator.score_pictures(np.zeros((5, 8, 8, 1), np.uint8))
    with pytest.raises(DataError, match="n >= 2"):
        evaluator.score_pictures(FRESH.images[:1])


def test_a_copy_stands_beside_its_original(evaluator: Evaluator) -> None:
    sheet = evaluator.nearest_pictures(REAL.images[5:7], 2)
    cell = 16 + 2
    grid = sheet[::4, ::4][2:, 2:]  # enlarged four times, a gap of two
    for row in (0, 1):
        cells = [grid[row * cell : row * cell + 16, c * cell : c * cell + 16] for c in range(5)]
        assert np.array_equal(cells[0], REAL.images[5 + row])
        assert np.array_equal(cells[0], cells[1])
        assert np.array_equal(cells[0], cells[3])
        assert not np.array_equal(cells[0], cells[4])


@settings(max_examples=30)
@given(st.lists(st.integers(0, 3), min_size=10, max_size=200), st.integers(1, 300))
def test_parts_are_disjoint_whole_and_in_proportion(classes: list[int], count: int) -> None:
    labels = np.array(classes, np.int64)
    held, rest = split.split(len(labels), labels)
    assert sorted([*held, *rest]) == list(range(len(labels)))
    assert len(held) == round(0.2 * len(labels))
    some = split.part(rest, labels, count)
    assert len(some) == min(count, len(rest))
    assert set(some) <= set(rest)
    drawn = split.like(labels, count)
    for label in range(4):
        share = (labels == label).mean()
        assert abs((labels[held] == label).sum() - share * len(held)) <= 3
        assert abs((drawn == label).sum() - share * count) <= 3 * -(-count // len(labels))


def test_the_table_holds_what_there_is() -> None:
    lines = scores.table({"ours": {"frechet": 1.23456, "label_accuracy": 0.5}, "real": {"frechet": 1.0}})
    assert len(lines) == 3
    assert lines[1].split() == ["Frechet", "distance", "1.235", "1.000", "lower"]
    assert lines[2].split() == ["label", "accuracy", "50.00%", "-", "higher"]


@pytest.mark.slow
def test_the_shipped_model_scores_better_than_the_same_model_made_worse() -> None:
    generator = Generator.load("digits", device="cpu")
    evaluator = Evaluator.prepare(data.load(DataOptions(source="digits")))

    def drawn(scale: float) -> dict[str, float]:
        return evaluator.score(
            lambda n, labels: generator(generator.latents(range(n)) * scale, labels)
        ).values

    found = [drawn(scale) for scale in (1.0, 0.7, 0.4)]
    assert found[0]["frechet"] < found[1]["frechet"] < found[2]["frechet"]
    assert found[0]["recall"] > found[1]["recall"] > found[2]["recall"]
    assert found[0]["variety"] > found[1]["variety"] > found[2]["variety"]
    assert found[0]["label_accuracy"] > 0.98
