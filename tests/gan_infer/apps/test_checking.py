"""Golden pictures and judgements: at the first load, by `info` and by `check`."""

from __future__ import annotations

import base64
import collections
import dataclasses
import io
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from PIL import Image

from gan_infer import Critic, Generator, ModelError, cli
from gan_infer.apps import checking
from gan_infer.conditions.spec import Feed
from gan_infer.modelfile import golden
from gan_infer.modelfile.metadata import KEY, GoldenScore
from tests import hostile
from tests.conftest import CONDITIONAL, ODD, RGBA, TINY, CommandLine, Kind

Models = Callable[[Kind], Path]
Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a file's copy with a changed description and weights times a factor."""

    def write(source: Path, change: Change, factor: float = 1.0) -> Path:
        model = onnx.load(source)
        (text,) = model.metadata_props
        data = json.loads(text.value)
        for each in data["golden"]:
            change(each)
        helper.set_model_props(model, {KEY: json.dumps(data)})
        if factor != 1.0:
            largest = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
            weights = numpy_helper.to_array(largest) * np.float32(factor)
            largest.CopyFrom(numpy_helper.from_array(weights, largest.name))
        path = tmp_path / "changed.onnx"
        onnx.save(model, path)
        return path

    return write


def keep(each: dict[str, Any]) -> None:
    """Change nothing."""


def lose_pictures(each: dict[str, Any]) -> None:
    each.pop("png", None)


def shift(levels: int) -> Change:
    """Return a change by which the file says pictures that are so many levels off."""

    def change(each: dict[str, Any]) -> None:
        with Image.open(io.BytesIO(base64.b64decode(each["png"]))) as image:
            array = np.asarray(image).copy()
        first = array.reshape(-1)
        first[0] = first[0] + levels if first[0] < 128 else first[0] - levels
        body = io.BytesIO()
        Image.fromarray(array).save(body, "PNG")
        each.update(png=base64.b64encode(body.getvalue()).decode(), sha256="0" * 64)

    return change


def test_exports_keep_their_golden_pictures(model_file: Models) -> None:
    for kind in (CONDITIONAL, ODD, RGBA):
        generator = Generator.load(model_file(kind), device="cpu")
        assert sum(len(each.png) for each in generator.metadata.golden) <= 64 * 1024
        for each in generator.metadata.golden:
            kept = golden.kept_picture(each, generator.image_shape)
            assert np.array_equal(kept, generator.sample(1, each.label, each.seed)[0])


@pytest.mark.parametrize("side", [1, 7, 64, 300, 1024])
def test_of_large_pictures_some_pixels_are_kept(side: int) -> None:
    rng = np.random.default_rng(side)
    pictures = [rng.integers(0, 256, (side, side + 5, 3), dtype=np.uint8) for _ in range(4)]
    kept = golden.keep_pictures(pictures)
    assert sum(map(len, kept)) <= 64 * 1024
    for text, picture in zip(kept, pictures, strict=True):
        small = golden.kept_picture(golden.Golden(0, None, "", text), picture.shape)
        step = round(picture.shape[0] / small.shape[0])
        assert np.array_equal(small, picture[::step, ::step])
        assert small.size > 1000 or step == 1


def test_a_changed_file_is_refused_and_trust_opens_it(
    model_file: Models, changed: Callable[..., Path]
) -> None:
    path = changed(model_file(CONDITIONAL), keep, factor=1.5)
    for _ in range(2):  # a refusal is not kept
        with pytest.raises(
            ModelError, match=r"damaged or changed: .* seeds 0, 1, 2, 3 .* levels of 256"
        ) as caught:
            Generator.load(path, device="cpu")
        assert "\n" not in str(caught.value)
    assert Generator.load(path, device="cpu", trust=True).sample(1, seed=0).size


def test_a_level_off_is_right_and_two_are_not(model_file: Models, changed: Callable[..., Path]) -> None:
    assert Generator.load(changed(model_file(CONDITIONAL), shift(1)), device="cpu").file_note == ""
    with pytest.raises(ModelError, match="by up to 2 levels of 256"):
        Generator.load(changed(model_file(CONDITIONAL), shift(2)), device="cpu")


def test_a_file_of_hashes_alone_is_opened_with_a_note(
    model_file: Models, changed: Callable[..., Path]
) -> None:
    same = Generator.load(changed(model_file(CONDITIONAL), lose_pictures), device="cpu")
    assert same.file_note == ""
    generator = Generator.load(changed(model_file(CONDITIONAL), lose_pictures, factor=1.5), device="cpu")
    assert "seeds 0, 1, 2, 3 differ" in generator.file_note
    assert generator.note.startswith(generator.file_note)
    again = Generator.load(generator.source, device="cpu")  # as often as it is loaded
    assert again.file_note == generator.file_note


@pytest.mark.parametrize("png", ["", "AAAA", "not base64", "iVBORw0KGgo="])
def test_a_golden_picture_that_is_none_is_told(
    model_file: Models, changed: Callable[..., Path], png: str
) -> None:
    def spoil(each: dict[str, Any]) -> None:
        each.update(png=png, sha256="0" * 64)

    path = changed(model_file(TINY), spoil)
    if png:
        with pytest.raises(ModelError, match="is no PNG"):
            Generator.load(path, device="cpu")
    else:
        assert "differ" in Generator.load(path, device="cpu").note


def test_a_golden_picture_that_is_too_large_is_not_decoded(
    model_file: Models, critic_file: Models, changed: Callable[..., Path]
) -> None:
    body = io.BytesIO()
    Image.new("L", (4000, 4000)).save(body, "PNG")

    def bomb(each: dict[str, Any]) -> None:
        each.update(png=base64.b64encode(body.getvalue()).decode(), sha256="0" * 64)

    with pytest.raises(ModelError, match="4000x4000 pixels are too many"):
        Generator.load(changed(model_file(TINY), bomb), device="cpu")
    with pytest.raises(ModelError, match="4000x4000 pixels are too many"):
        Critic.load(changed(critic_file(CONDITIONAL), bomb), device="cpu")


def test_a_changed_critic_is_refused(critic_file: Models, changed: Callable[..., Path]) -> None:
    path = changed(critic_file(CONDITIONAL), keep, factor=1.5)
    with pytest.raises(ModelError, match="golden scores"):
        Critic.load(path, device="cpu")
    assert Critic.load(path, device="cpu", trust=True).name


def test_at_float16_more_than_a_level_is_told_but_not_refused(model_file: Models) -> None:
    generator = Generator.load(model_file(CONDITIONAL), device="cpu")
    for precision, expected in (("float32", golden.CHANGED), ("float16", golden.UNTOLD)):
        metadata = dataclasses.replace(generator.metadata, precision=precision)

        def run(names: Any, feeds: Feed) -> Any:
            picture = generator(feeds["latent"], feeds["label"]).copy()
            picture[0, 0, 0] += np.where(picture[0, 0, 0] < 128, 3, -3).astype(np.uint8)
            return [picture]

        assert golden.worst(golden.draw(run, metadata)) == expected


# The commands.


@pytest.fixture
def run(command_line: CommandLine) -> Any:
    return command_line("gan-infer", cli.main)


def test_check_says_what_came_out(
    run: Any, model_file: Models, critic_file: Models, changed: Callable[..., Path], tmp_path: Path
) -> None:
    code, out, _ = run("check", model_file(CONDITIONAL))
    assert (code, out.split(":")[0]) == (0, "same")
    code, out, _ = run("check", critic_file(CONDITIONAL), "--json")
    told = json.loads(out)
    assert (code, told["kind"], told["result"], len(told["compared"])) == (0, "critic", "same", 4)
    code, out, _ = run("check", changed(model_file(CONDITIONAL), shift(1)))
    assert (code, out.split(":")[0]) == (0, "close")
    code, out, _ = run("check", changed(model_file(CONDITIONAL), lose_pictures, factor=1.5))
    assert code == 1
    assert "the file holds hashes only: damaged, or another processor" in out
    for more in ((), ("--trust",)):
        code, out, err = run("check", changed(model_file(CONDITIONAL), keep, factor=1.5), *more, "--json")
        told = json.loads(out)
        assert (code, err, told["result"]) == (1, "", "changed")
        assert all(each["off"] > 1 for each in told["compared"])
    code, out, _ = run("check", changed(critic_file(CONDITIONAL), keep, factor=1.5))
    assert (code, out.split(":")[0]) == (1, "changed")
    assert "in realness" in out


def test_check_says_so_where_there_is_nothing_to_compare(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "base.onnx"
    path.write_bytes(hostile.base().SerializeToString())
    code, out, _ = run("check", path)
    assert (code, out.split(":")[0]) == (1, "none")
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, path)
    code, out, _ = run("check", path, "--json")
    assert (code, json.loads(out)["kind"]) == (1, "foreign")
    code, out, err = run("check", tmp_path / "none.onnx")
    assert (code, out, err.count("\n")) == (1, "", 1)


def test_info_says_how_the_golden_pictures_came_out(
    run: Any, model_file: Models, changed: Callable[..., Path]
) -> None:
    _, out, _ = run("info", "--model", model_file(CONDITIONAL), "--device", "cpu", "--json")
    told = json.loads(out)
    assert told["golden_result"] == "same"
    assert told["golden"][0]["png"] is True
    path = changed(model_file(CONDITIONAL), keep, factor=1.5)
    code, out, _ = run("info", "--model", path, "--trust", "--device", "cpu")
    assert code == 0
    assert "4 of 4 golden pictures differ" in out
    code, out, err = run("info", "--model", path)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert checking.check(str(path)).result == golden.CHANGED


def test_of_mutated_copies_none_draws_changed_golden_pictures_in_silence(
    model_file: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)  # compared in this process, which is quick
    body = model_file(TINY).read_bytes()
    good = Generator.load(body, device="cpu", trust=True)
    expected = [good.sample(1, each.label, each.seed).astype(int) for each in good.metadata.golden]
    weights = [tensor.raw_data for tensor in onnx.load_from_string(body).graph.initializer]
    places = [body.index(raw) + at for raw in weights if len(raw) >= 64 for at in range(len(raw))]
    chance, outcomes = random.Random(7), collections.Counter[str]()
    for _ in range(60):
        changed = bytearray(body)
        changed[chance.choice(places)] ^= 1 << chance.randrange(8)
        try:
            loaded = Generator.load(changed, device="cpu")
        except ModelError:
            outcomes["refused"] += 1
            continue
        got = [loaded.sample(1, each.label, each.seed).astype(int) for each in good.metadata.golden]
        off = max(int(abs(mine - its).max()) for mine, its in zip(expected, got, strict=True))
        assert off <= golden.TOLERANCE or loaded.note
        outcomes["changed" if off else "same"] += 1
    assert outcomes["refused"] >= 5  # or nothing was shown
    assert outcomes["same"] >= 5


def test_a_long_thin_golden_picture_is_not_repeated_beyond_its_shape() -> None:
    body = io.BytesIO()
    Image.new("L", (1, 2048)).save(body, "PNG")
    thin = GoldenScore(base64.b64encode(body.getvalue()).decode(), None, 0.5)
    assert golden.golden_picture(thin, (2048, 2048, 1)).shape == (2048, 2048, 1)


@pytest.mark.parametrize("side", [8, 96, 256])
def test_pictures_that_are_kept_take_no_more_bytes_than_they_may(side: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    texts = golden.keep_pictures([picture] * 4, 64 * 1024)
    assert sum(map(len, texts)) <= 64 * 1024
    with Image.open(io.BytesIO(base64.b64decode(texts[0]))) as image:
        step = -(-side // image.width)
        assert np.array_equal(np.asarray(image), picture[::step, ::step])
    assert (step == 1) == (side == 8)
