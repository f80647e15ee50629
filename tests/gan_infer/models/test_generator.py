from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gan_infer import Generator, LabelError, ModelError, OptionError
from gan_infer.modelfile import admission, safety
from gan_infer.modelfile.metadata import KEY
from gan_infer.modelfile.trial import verdicts
from gan_infer.models.base import BATCH
from tests.conftest import CONDITIONAL, EVERY_KIND, Kind, count_rows

Models = Callable[[Kind], Path]


def digest(pictures: np.ndarray) -> str:
    return hashlib.sha256(pictures.tobytes()).hexdigest()


# A seed names a picture.


@pytest.mark.parametrize("kind", EVERY_KIND, ids=str)
@pytest.mark.parametrize("threads", [1, 2])
def test_a_seed_names_a_picture_at_any_batch_size_position_and_thread_count(
    model_file: Models, kind: Kind, threads: int
) -> None:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    generator = Generator.load(model_file(kind), device="cpu", session_options=options)
    reference = Generator.load(model_file(kind), device="cpu").sample(100, seed=5)
    assert reference.shape == (100, kind.height, kind.width, kind.channels)
    assert len({picture.tobytes() for picture in reference}) == 100
    for size in (1, 2, 3, 7, 8, 16, 33, 64, 100):
        count = min(100, 12 * size)
        joined = np.concatenate(list(generator.iter_batches(count, seed=5, batch_size=size)))
        assert joined.tobytes() == reference[:count].tobytes(), f"batch size {size}"
    for seed in (5, 50, 104):  # other neighbours, another position
        assert generator.sample(9, seed=max(0, seed - 4))[min(seed, 4)].tobytes() == (
            reference[seed - 5].tobytes()
        )


@pytest.mark.parametrize(("live", "batch"), [(1, 1), (3, 3), (70, BATCH)])
def test_of_large_pictures_one_call_of_the_runtime_takes_fewer(
    model_file: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live: int, batch: int
) -> None:
    path = model_file(CONDITIONAL)
    reference = Generator.load(path, device="cpu").sample(70, seed=5)
    one = safety.check(path.read_bytes(), str(path)).live
    verdicts.forget()
    monkeypatch.setenv("GANFORGE_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setattr(admission, "MAX_LIVE", live * one)
    sizes = count_rows(monkeypatch)
    generator = Generator.load(path, device="cpu")
    assert generator.sample(70, seed=5).tobytes() == reference.tobytes()
    assert max(sizes) == batch


@pytest.mark.parametrize("kind", EVERY_KIND, ids=str)
def test_a_seed_names_a_picture_in_another_process(model_file: Models, kind: Kind) -> None:
    path = model_file(kind)
    code = (
        "import sys, hashlib; from gan_infer import Generator; "
        "g = Generator.load(sys.argv[1], device='cpu'); "
        "print(hashlib.sha256(g.sample(3, seed=11).tobytes()).hexdigest())"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == digest(Generator.load(path, device="cpu").sample(3, seed=11))


def test_threads_that_share_a_generator_get_their_own_pictures(conditional: Generator) -> None:
    def draw(seed: int) -> bytes:
        return conditional.sample(3, label=seed % 10, seed=seed).tobytes()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(draw, range(64))) == [draw(seed) for seed in range(64)]


def test_golden_pictures_are_what_the_file_says(model_file: Models) -> None:
    generator = Generator.load(model_file(CONDITIONAL), device="cpu")
    assert generator.metadata.golden
    for golden in generator.metadata.golden:
        assert digest(generator.sample(1, golden.label, golden.seed)) == golden.sha256


# Labels.


def test_labels_by_index_name_text_and_one_each_agree(conditional: Generator) -> None:
    by_index = conditional.sample(4, label=3, seed=0)
    assert np.array_equal(conditional.sample(4, label="class 3", seed=0), by_index)
    assert np.array_equal(conditional.sample(4, label="3", seed=0), by_index)
    assert np.array_equal(conditional.sample(4, label=np.int32(3), seed=0), by_index)  # type: ignore[arg-type]
    assert np.array_equal(conditional.sample(4, label=[3, "class 3", "3", 3], seed=0), by_index)
    assert np.array_equal(conditional.sample(4, label=np.full(4, 3), seed=0), by_index)
    assert not np.array_equal(conditional.sample(4, label=4, seed=0), by_index)


def test_without_a_label_the_seed_chooses_the_class(conditional: Generator) -> None:
    free = conditional.sample(12, seed=8)
    fixed = conditional.sample(12, label=[(8 + i) % 10 for i in range(12)], seed=8)
    assert np.array_equal(free, fixed)


def test_a_name_goes_before_an_index(tmp_path: Path, model_file: Models) -> None:
    model = onnx.load(model_file(CONDITIONAL))
    data = json.loads(model.metadata_props[0].value)
    data["class_names"] = [str(9 - index) for index in range(10)]
    del data["golden"]
    onnx.helper.set_model_props(model, {KEY: json.dumps(data)})
    onnx.save(model, tmp_path / "turned.onnx")
    turned = Generator.load(tmp_path / "turned.onnx", device="cpu")
    assert turned.label_index("2") == 7
    assert turned.label_index("index:2") == 2
    with pytest.raises(LabelError, match=r"write 'index:2' or 'name:2'"):
        turned.label_index(2)


@pytest.mark.parametrize("label", [-1, 10, "class 10", "cat", "", "99", 1.5, True, "٣"])
def test_a_label_that_is_no_class_is_refused_and_the_classes_named(
    conditional: Generator, label: object
) -> None:
    with pytest.raises(LabelError, match=r"class 0, class 1.*from 0 to 9"):
        conditional.sample(2, label=label, seed=0)  # type: ignore[arg-type]


def test_another_number_of_labels_is_refused(conditional: Generator) -> None:
    with pytest.raises(LabelError, match="3 labels were given for 4 pictures"):
        conditional.sample(4, label=[1, 2, 3])


def test_a_label_for_an_unconditional_model_is_refused(unconditional: Generator) -> None:
    with pytest.raises(LabelError, match="unconditional"):
        unconditional.sample(1, label=0)
    with pytest.raises(LabelError, match="unconditional"):
        unconditional(unconditional.latents(0), [0])
    with pytest.raises(LabelError, match="unconditional"):
        unconditional.grid(label="4")


# Numbers, seeds, raw batches.


@pytest.mark.parametrize("n", [0, -1, 1.5, "3", None, True, 2**63])
def test_a_bad_number_of_pictures_is_refused(conditional: Generator, n: object) -> None:
    with pytest.raises(OptionError, match="at least 1"):
        conditional.sample(n)  # type: ignore[arg-type]


def test_an_absurd_number_of_pictures_is_refused_before_any_work(conditional: Generator) -> None:
    with pytest.raises(OptionError, match="iter_batches"):
        conditional.sample(10**12)


@pytest.mark.parametrize("seed", [-1, 2**63, 0.5, "0"])
def test_a_bad_seed_is_refused(conditional: Generator, seed: object) -> None:
    with pytest.raises(OptionError, match="seed"):
        conditional.sample(1, seed=seed)  # type: ignore[arg-type]


def test_seeds_that_would_run_past_the_last_are_refused(conditional: Generator) -> None:
    assert conditional.sample(2, seed=2**63 - 2).shape[0] == 2
    with pytest.raises(OptionError, match="past"):
        conditional.sample(3, seed=2**63 - 2)


def test_iter_batches_checks_at_the_call(conditional: Generator) -> None:
    with pytest.raises(OptionError, match="batch_size"):
        conditional.iter_batches(5, batch_size=0)
    with pytest.raises(LabelError):
        conditional.iter_batches(5, label=77)


def test_without_a_seed_pictures_differ_from_call_to_call(conditional: Generator) -> None:
    assert not np.array_equal(conditional.sample(2), conditional.sample(2))


def test_raw_batches_give_what_sample_gives(conditional: Generator, unconditional: Generator) -> None:
    latents = conditional.latents(range(70))
    assert np.array_equal(conditional(latents, [4] * 70), conditional.sample(70, label=4, seed=0))
    assert np.array_equal(
        conditional(latents.tolist(), np.full(70, 4, np.uint8)), conditional(latents, [4] * 70)
    )
    assert np.array_equal(unconditional(unconditional.latents([3, 9]))[1], unconditional.sample(1, seed=9)[0])


@pytest.mark.parametrize("shape", [(63,), (0,), (0, 64), (2, 63), (1, 2, 64)])
def test_latents_of_another_shape_are_refused(conditional: Generator, shape: tuple[int, ...]) -> None:
    with pytest.raises(OptionError, match=r"expected \[n, 64\]"):
        conditional(np.zeros(shape, np.float32), [0])


@pytest.mark.parametrize("bad", ["ab", [[0.0] * 64, [0.0]]])
def test_latents_that_are_no_numbers_are_refused(conditional: Generator, bad: object) -> None:
    with pytest.raises(OptionError, match="latents"):
        conditional(bad, 4)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_points_that_are_not_finite_are_refused(conditional: Generator, bad: float) -> None:
    point = np.full(64, bad)
    for call in (
        lambda: conditional.edit(point, 4),
        lambda: conditional.loop([0, point], 4, label=4),
        lambda: conditional.interpolate(0, point, label=4),
    ):
        with pytest.raises(OptionError, match="not finite"):
            call()


@pytest.mark.parametrize("labels", [None, [0], [0, 10], [0, -1], [0.5, 1], "ab", [[0, 1]], [2**62, 0]])
def test_labels_of_a_raw_batch_are_checked(conditional: Generator, labels: object) -> None:
    with pytest.raises(LabelError):
        conditional(np.zeros((2, 64), np.float32), labels)  # type: ignore[arg-type]


@settings(max_examples=30)
@given(n=st.integers(1, 80), seed=st.integers(0, 2**62), label=st.integers(0, 9))
def test_sample_gives_n_pictures_of_its_shape(conditional: Generator, n: int, seed: int, label: int) -> None:
    pictures = conditional.sample(n, label=label, seed=seed)
    assert pictures.shape == (n, 28, 28, 1)
    assert pictures.dtype == np.uint8


def test_pil_output(conditional: Generator, unconditional: Generator) -> None:
    pictures = conditional.sample(2, seed=0, output="pil")
    assert [picture.mode for picture in pictures] == ["L", "L"]
    assert np.array_equal(np.asarray(pictures[1]), conditional.sample(2, seed=0)[1, :, :, 0])
    (colour,) = unconditional.sample(1, output="pil")
    assert colour.mode == "RGB"
    assert colour.size == (20, 16)
    with pytest.raises(OptionError, match="'np' or 'pil'"):
        conditional.sample(1, output="torch")  # type: ignore[call-overload]


# Sheets.


def test_a_grid_without_a_label_has_a_row_a_class(conditional: Generator) -> None:
    sheet = conditional.grid(seeds=[3, 8])
    assert sheet.shape == (10 * 30 + 2, 2 * 30 + 2, 1)
    picture = conditional.sample(1, label=6, seed=8)[0]
    assert np.array_equal(sheet[2 + 6 * 30 : 30 + 6 * 30, 32:60], picture)
    assert conditional.grid(columns=3).shape == (302, 3 * 30 + 2, 1)


def test_a_grid_with_a_label_is_filled_by_seeds(conditional: Generator, unconditional: Generator) -> None:
    assert conditional.grid(4).shape == (8 * 30 + 2, 8 * 30 + 2, 1)
    sheet = conditional.grid(4, seeds=range(5), columns=2)
    assert sheet.shape == (3 * 30 + 2, 2 * 30 + 2, 1)
    assert np.array_equal(sheet[62:90, 2:30], conditional.sample(1, label=4, seed=4)[0])
    assert conditional.grid(4, seeds=range(5), rows=1).shape == (32, 5 * 30 + 2, 1)
    assert unconditional.grid(rows=2, columns=3).shape == (2 * 18 + 2, 3 * 22 + 2, 3)
    assert unconditional.grid(seeds=7).shape == (20, 24, 3)
    image = conditional.grid(4, rows=1, columns=1, output="pil")
    assert isinstance(image, Image.Image)


def test_a_grid_that_does_not_hold_its_seeds_is_refused(conditional: Generator) -> None:
    with pytest.raises(OptionError, match="do not fit"):
        conditional.grid(4, seeds=range(5), rows=2, columns=2)
    with pytest.raises(OptionError, match="do not fit"):
        conditional.grid(seeds=range(5), columns=2)
    with pytest.raises(OptionError, match="rows"):
        conditional.grid(4, rows=0)
    with pytest.raises(OptionError, match="columns"):
        conditional.grid(4, columns=-1)
    with pytest.raises(OptionError, match="too large"):
        conditional.grid(4, rows=100_000, columns=100_000)


# What the file says.


def test_attributes_come_from_the_metadata(conditional: Generator, unconditional: Generator) -> None:
    assert conditional.conditional
    assert conditional.class_names[4] == "class 4"
    assert (conditional.latent_dim, conditional.image_shape) == (64, (28, 28, 1))
    assert conditional.device == "cpu"
    assert conditional.providers == ("CPUExecutionProvider",)
    assert "28x28x1" in repr(conditional)
    assert not unconditional.conditional


# Files that are none of ours.


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model file.*gone\.onnx"):
        Generator.load(tmp_path / "gone.onnx")
    with pytest.raises(ModelError, match="is a directory"):
        Generator.load(tmp_path)
    with pytest.raises(ModelError, match="no shipped model"):
        Generator.load("no-such-model")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"\x08\x08" * 99])
def test_what_is_no_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"x\.onnx is refused unopened"):
        Generator.load(tmp_path / "x.onnx")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_cut_short_is_refused(tmp_path: Path, model_file: Models, share: float) -> None:
    whole = model_file(CONDITIONAL).read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelError):
        Generator.load(tmp_path / "cut.onnx")


def test_an_onnx_that_is_no_generator_is_refused(tmp_path: Path) -> None:
    value = [onnx.helper.make_tensor_value_info(name, 1, ["n"]) for name in "xy"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", value[:1], value[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(model, tmp_path / "relu.onnx")
    with pytest.raises(ModelError, match="is no file of ours"):
        Generator.load(tmp_path / "relu.onnx")


@pytest.mark.parametrize(
    "change", [{"latent_dim": 63}, {"height": 27}, {"channels": 3}, {"class_names": []}, {"latent_dim": 0}]
)
def test_metadata_that_does_not_fit_the_graph_is_refused(
    tmp_path: Path, model_file: Models, change: dict[str, object]
) -> None:
    model = onnx.load(model_file(CONDITIONAL))
    data = {**json.loads(model.metadata_props[0].value), **change, "golden": []}
    onnx.helper.set_model_props(model, {KEY: json.dumps(data)})
    onnx.save(model, tmp_path / "wrong.onnx")
    with pytest.raises(ModelError):
        Generator.load(tmp_path / "wrong.onnx")
