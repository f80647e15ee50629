"""Odd arguments anywhere in the SDK's public face: they work, or are one error of ours in one line."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gan_infer import Critic, GanError, Generator, Metadata
from gan_infer.apps import verification
from gan_infer.latent import directions, seeds
from gan_infer.latent import interpolation as ways
from gan_infer.latent.directions import Direction
from gan_infer.modelfile import catalog, golden
from gan_infer.modelfile.metadata import CriticMetadata, GoldenScore, kind_of
from gan_infer.outputs import animation, image
from gan_infer.provenance import c2pa, record
from gan_infer.provenance.record import Provenance
from tests import hostile
from tests.conftest import CONDITIONAL, Kind, random_pictures

Models = Callable[[Kind], Path]

ODD: Mapping[str, Any] = {
    "None": None,
    "True": True,
    "minus one": -1,
    "zero": 0,
    "one": 1,
    "1.0": 1.0,
    "1.5": 1.5,
    "nan": math.nan,
    "infinity": math.inf,
    "2**63": 2**63,
    "10**400": 10**400,
    "10**5000": 10**5000,
    "complex": 1j,
    "empty text": "",
    "text": "x",
    "text of a number": "1",
    "NUL": "a\0b.png",
    "5,000 letters": "x" * 5000 + ".png",
    "half a character": "\ud800.png",
    "bytes": b"x",
    "empty list": [],
    "list of None": [None],
    "list of texts": ["x", "y"],
    "ragged list": [[1], [1, 2]],
    "nested lists": [[1, 2], [3, 4]],
    "list of huge": [2**70],
    "list of floats": [0.5, math.nan],
    "empty dict": {},
    "dict": {"x": 1},
    "dict of None": {None: None},
    "set": {1},
    "object": object(),
    "function": len,
    "class": int,
    "generator": None,  # made anew for each call
    "int64": np.int64(1),
    "float64": np.float64(1),
    "bool_": np.bool_(True),
    "no elements": np.array([]),
    "0 dimensions": np.array(1),
    "0 dimensions of text": np.array("x"),
    "2 dimensions": np.array([[1.5, 2.5]]),
    "array of objects": np.array([None, "x"], object),
    "array of texts": np.array(["x"]),
    "array of bools": np.array([True]),
    "array of complex": np.array([1j]),
    "array of nan": np.full(64, np.nan),
    "array of large": np.full(64, 1e300),
    "picture": np.zeros((4, 4, 3), np.uint8),
    "empty picture": np.zeros((0, 4, 3), np.uint8),
    "floats of a picture": np.zeros((4, 4, 3)),
    "path": Path("x"),
    "image": Image.new("L", (4, 4)),
    "date": np.datetime64("2020-01-01"),
    "record": np.zeros(1, [("a", int)]),
}


def each_odd() -> Iterator[tuple[str, Any]]:
    for name, value in ODD.items():
        yield name, (value for _ in range(2)) if name == "generator" else value


def failures(call: Callable[..., Any], good: Mapping[str, Any]) -> list[str]:
    """Try every argument with every odd value; name what ended in another error than one of ours."""
    call(**good)
    found = []
    for name in good:
        for kind, value in each_odd():
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    result = call(**{**good, name: value})
                    if isinstance(result, Iterator):
                        next(result, None)
            except GanError as error:
                if "\n" in str(error) or len(str(error)) > 1500:
                    found.append(f"{name}={kind}: a message of {len(str(error))} characters")
            except Exception as error:
                found.append(f"{name}={kind}: {type(error).__name__}: {str(error)[:100]}")
    return found


GENERATOR_CALLS: Mapping[str, Mapping[str, Any]] = {
    "__call__": {"latents": np.zeros((1, 64), np.float32), "labels": [1]},
    "sample": {"n": 1, "label": 1, "seed": 1, "output": "np", "psi": 1.0},
    "sample with a critic": {"best_of": 2, "critic": ...},
    "choose": {"n": 1, "label": 1, "seed": 1, "psi": 1.0, "best_of": 2, "critic": ...},
    "iter_batches": {"n": 1, "label": 1, "seed": 1, "batch_size": 2, "psi": 1.0},
    "grid": {"label": 1, "seeds": [1, 2], "rows": 1, "columns": 2, "output": "np", "psi": 1.0},
    "provenance": {"seeds": 1, "label": 1, "psi": 1.0, "scale": 1},
    "grid_provenance": {"label": 1, "seeds": [1, 2], "rows": 1, "columns": 2, "psi": 1.0, "scale": 1},
    "latents": {"seeds": [1]},
    "latent": {"seed": 1},
    "interpolate": {"a": 1, "b": 2, "steps": 2, "mode": "lerp", "label": 1, "psi": 1.0},
    "loop": {"points": [1, 2], "steps": 2, "mode": "lerp", "label": 1, "psi": 1.0},
    "edit": {"seed": 1, "label": 1, "amounts": {"direction1": 1.0}, "psi": 1.0},
    "edit by name": {"seed": 1, "label": 1, "direction1": 1.0},
    "label_index": {"label": 1},
    "label_weights": {"label": 1},
}


@pytest.fixture(scope="module")
def judge(critic_file: Models) -> Critic:
    return Critic.load(critic_file(CONDITIONAL), device="cpu")


@pytest.mark.parametrize("name", GENERATOR_CALLS)
def test_of_a_generator(name: str, conditional: Generator, judge: Critic) -> None:
    good = {key: judge if value is ... else value for key, value in GENERATOR_CALLS[name].items()}
    assert failures(getattr(conditional, name.split(maxsplit=1)[0]), good) == []


@pytest.mark.parametrize("name", ["sample", "provenance", "edit", "label_index"])
def test_of_a_generator_without_classes(name: str, unconditional: Generator) -> None:
    call = getattr(unconditional, name)
    good = {"label": None} | ({"n": 1} if name == "sample" else {"seeds": 1} if name == "provenance" else {})
    good |= {"seed": 1} if name == "edit" else {}
    if name == "label_index":
        assert not any("Label" not in each for each in failures_of_one(call))
        return
    assert failures(call, good) == []


def failures_of_one(call: Callable[[Any], Any]) -> list[str]:
    found = []
    for _, value in each_odd():
        with pytest.raises(GanError) as caught:
            call(value)
        found.append(type(caught.value).__name__)
    return found


CRITIC_CALLS: Mapping[str, Mapping[str, Any]] = {
    "__call__": {"images": ..., "labels": [1]},
    "score": {"pictures": ..., "labels": 1},
    "of_any_class": {"images": ...},
    "prepare": {"picture": ...},
    "label_index": {"label": 1},
}


@pytest.mark.parametrize("name", CRITIC_CALLS)
def test_of_a_critic(name: str, judge: Critic) -> None:
    batch = random_pictures(CONDITIONAL, 1)
    picture = batch[0] if name == "prepare" else batch
    good = {key: picture if value is ... else value for key, value in CRITIC_CALLS[name].items()}
    assert failures(getattr(judge, name), good) == []


def test_of_loading(model_file: Models, critic_file: Models, tmp_path: Path) -> None:
    model = hostile.base()
    del model.metadata_props[:]
    foreign = tmp_path / "foreign.onnx"
    foreign.write_bytes(model.SerializeToString())
    options = {"device": "cpu", "providers": None, "session_options": None, "threads": 1}
    reading = {
        "latent_input": "latent",
        "label_input": "label",
        "output": "image",
        "class_names": ["a", "b", "c"],
        "value_range": (0, 255),
    }
    path = model_file(CONDITIONAL)
    assert failures(lambda **given: Generator.load(path, **given), options) == []
    with Generator.load(path, device="cpu", threads=np.int64(2)) as gen:  # type: ignore[arg-type]
        assert gen.sample(1, seed=0).shape == (1, *gen.image_shape)
    assert failures(lambda **given: Critic.load(critic_file(CONDITIONAL), **given), options) == []
    assert failures(lambda **given: Generator.load(foreign, device="cpu", **given), reading) == []


DIRECTIONS = {"x": Direction("x", (1.0,))}
PICTURE = np.zeros((4, 4, 3), np.uint8)
FUNCTIONS: Mapping[str, tuple[Callable[..., Any], Mapping[str, Any]]] = {
    "images.tile": (image.tile, {"pictures": PICTURE[None], "columns": 1, "gap": 2, "background": 32}),
    "images.to_pil": (image.to_pil, {"picture": PICTURE}),
    "images.enlarge": (image.enlarge, {"picture": PICTURE, "factor": 2}),
    "images.save": (
        image.save,
        {"picture": PICTURE, "target": "x.png", "provenance": None},
    ),
    "images.encode": (image.encode, {"picture": PICTURE, "kind": "PNG"}),
    "images.format_of": (image.format_of, {"path": "x.png"}),
    "images.check_side": (image.check_side, {"height": 1, "width": 1, "kind": "PNG"}),
    "images.factor_for": (image.factor_for, {"height": 1, "width": 1, "at_least": 64}),
    "animation.write": (
        animation.write,
        {"frames": [PICTURE, PICTURE], "target": "x.gif", "rate": 25.0, "provenance": None},
    ),
    "animation.format_of": (animation.format_of, {"path": "x.gif"}),
    "latents.latents": (seeds.latents, {"seeds": 1, "dim": 4, "distribution": "normal"}),
    "latents.candidate_seeds": (
        seeds.candidate_seeds,
        {"seeds": np.array([1], np.uint64), "count": 2},
    ),
    "latents.seed_array": (seeds.seed_array, {"seeds": [1]}),
    "latents.check_seed": (seeds.check_seed, {"seed": 1}),
    "latents.fresh_seed": (seeds.fresh_seed, {"count": 1}),
    "latents.parse_seeds": (seeds.parse_seeds, {"text": "1-3", "limit": 10}),
    "paths.lerp": (ways.lerp, {"a": [1.0, 2.0], "b": [2.0, 1.0], "positions": 0.5}),
    "paths.slerp": (ways.slerp, {"a": [1.0, 2.0], "b": [2.0, 1.0], "positions": 0.5}),
    "paths.between": (ways.between, {"a": [1.0, 2.0], "b": [2.0, 1.0], "steps": 2, "mode": "slerp"}),
    "paths.loop": (ways.loop, {"points": [[1.0, 2.0], [2.0, 1.0]], "steps": 2, "mode": "slerp"}),
    "paths.loop_positions": (ways.loop_positions, {"points": 2, "steps": 2}),
    "paths.check_psi": (ways.check_psi, {"psi": 1.0}),
    "edits.find": (functools.partial(directions.find, DIRECTIONS), {"key": "x"}),
    "edits.amounts_of": (
        functools.partial(directions.check_amounts, DIRECTIONS),
        {"asked": {"x": 1.0}},
    ),
    "edits.parse_range": (directions.parse_range, {"text": "-1:1"}),
    "provenance.embed": (
        record.embed,
        {"body": image.encode(PICTURE, "PNG"), "provenance": Provenance("m", "0" * 64, (1,))},
    ),
    "Provenance.from_json": (
        Provenance.from_json,
        {"text": Provenance("m", "0" * 64, (1,)).to_json()},
    ),
    "Metadata.from_json": (
        Metadata.from_json,
        {"text": Metadata("m", 4, 4, 4, 1).to_json()},
    ),
    "CriticMetadata.from_json": (
        CriticMetadata.from_json,
        {"text": CriticMetadata("m", 4, 4, 1).to_json()},
    ),
    "metadata.kind_of": (kind_of, {"text": Metadata("m", 4, 4, 4, 1).to_json()}),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_of_functions(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    call, good = FUNCTIONS[name]
    assert failures(call, good) == []


FILES: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "provenance.read": ("path", record.read),
    "edits.read_latent": ("path", directions.read_latent),
    "provenance.attach": ("target", lambda path: record.attach(path, Provenance("m", "0" * 64, (1,)))),
    "signing.Signer": ("certificates", lambda path: c2pa.Signer(path, path)),
}


@pytest.mark.parametrize("name", FILES)
def test_of_what_takes_files(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if name == "signing.Signer":
        pytest.importorskip("c2pa")
    call = FILES[name][1]
    for kind, value in [*each_odd(), ("folder", tmp_path)]:
        try:
            call(value)
        except GanError:
            continue
        pytest.fail(f"{name} took {kind}")


def test_of_signers(tmp_path: Path) -> None:
    for sign in ("x", 1, [], True):
        with pytest.raises(GanError, match=r"signing\.Signer"):
            image.save(PICTURE, tmp_path / "x.png", sign=sign)  # type: ignore[arg-type]


def test_of_verifying(conditional: Generator, tmp_path: Path) -> None:
    image.save(conditional.sample(1, seed=1)[0], tmp_path / "x.png", conditional.provenance(1))

    def verify(path: Any) -> object:
        return verification.verify(path, conditional)

    assert failures(verify, {"path": tmp_path / "x.png"}) == []


def test_of_golden_pictures() -> None:
    for _, value in each_odd():
        with pytest.raises(GanError):
            golden.golden_picture(GoldenScore(value, None, 0.5), (4, 4, 1))


def test_of_names_of_models() -> None:
    for name in ("hf://" + "x" * 5000, "hf://a\0/b", "hf:" + "\ud800"):
        with pytest.raises(GanError):
            catalog.find(name)
