"""What any task deploys becomes a checked file: by the lists of its inputs and outputs and nothing else."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import Tensor, nn

from gan_infer.conditions.spec import Free, Input, Output
from gan_infer.errors import ModelError
from gan_infer.modelfile.metadata import KEY, Metadata
from gan_train.export import graph, verification, writing
from gan_train.networks.pixels import Deployment

AGE = Input("age", "number", "float32", (), {"unit": "years", "low": 0, "high": 100})
LATENT = Input("latent", "latent", "float32", (4,), {"distribution": "normal"})
SOUND = Output("audio", "audio", "float32", (16,), {"sample_rate": 8000})


class Speaker(nn.Module):
    """Two inputs and a sound; `steps` are those that it is rounded to."""

    def __init__(self, steps: float = 32768.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.steps = nn.Linear(5, 16), steps

    def forward(self, latent: Tensor, age: Tensor) -> Tensor:
        sound = torch.tanh(self.linear(torch.cat([latent, age[:, None]], dim=1)))
        return torch.round(sound * self.steps) / self.steps


class Shrinker(nn.Module):
    """A picture of any size to one of half the size, and how bright it is; optionally brighter."""

    def forward(self, source: Tensor, gain: Tensor) -> tuple[Tensor, Tensor]:
        pictures = source.permute(0, 3, 1, 2).float() * (1 + gain[:, :, None, None])
        small = nn.functional.avg_pool2d(pictures, 2)
        image = torch.clamp(torch.round(small), 0, 255).to(torch.uint8).permute(0, 2, 3, 1)
        return image, torch.round(small.mean((1, 2, 3))) / 256


SPEAKER = Deployment(Speaker().eval(), (LATENT, AGE), (SOUND,))
SIDE = Free(16, 64, 4)
SHRINKER = Deployment(
    Shrinker().eval(),
    (Input("source", "image", "uint8", (SIDE, SIDE, 3)), Input("gain", "number", "float32", (1,), {}, True)),
    (
        Output("image", "image", "uint8", (Free(8, 32, 2), Free(8, 32, 2), 3)),
        Output("light", "number", "float32"),
    ),
)


METADATA = Metadata("test", latent_dim=4, height=1, width=16, channels=1, kind="speaker")


def arrays(values: Any) -> list[tuple[str, int, list[int | str]]]:
    return [
        (
            value.name,
            value.type.tensor_type.elem_type,
            [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim],
        )
        for value in values
    ]


def test_a_network_of_two_inputs_and_a_sound_becomes_a_file_that_lists_them(tmp_path: Path) -> None:
    written = writing.write(SPEAKER, METADATA, tmp_path / "speaker.onnx")
    model = onnx.load(tmp_path / "speaker.onnx")
    float32 = onnx.TensorProto.FLOAT
    assert arrays(model.graph.input) == [("latent", float32, ["batch", 4]), ("age", float32, ["batch"])]
    assert arrays(model.graph.output) == [("audio", float32, ["batch", 16])]
    told = json.loads({entry.key: entry.value for entry in model.metadata_props}[KEY])
    assert told["format_version"] == "1.1"
    assert (told["kind"], model.graph.name) == ("speaker", "speaker")
    assert told["inputs"][1] == {
        "name": "age",
        "kind": "number",
        "dtype": "float32",
        "shape": [],
        "facts": {"unit": "years", "low": 0, "high": 100},
        "optional": False,
    }
    assert told["outputs"][0]["shape"] == [16]
    assert written.differences["audio"].largest <= 1 / 32768
    assert written.inputs == SPEAKER.inputs


def test_a_source_of_any_size_goes_in_and_one_of_half_the_size_comes_out(tmp_path: Path) -> None:
    written = writing.write(SHRINKER, METADATA, tmp_path / "half.onnx")
    model = onnx.load(tmp_path / "half.onnx")
    (source, gain) = arrays(model.graph.input)
    assert source == ("source", onnx.TensorProto.UINT8, ["batch", "source_side_1", "source_side_2", 3])
    assert gain == ("gain", onnx.TensorProto.FLOAT, ["batch_or_1", 1])
    assert arrays(model.graph.output)[0][2] == ["batch", "image_side_1", "image_side_2", 3]
    told = json.loads(model.metadata_props[0].value)
    assert told["inputs"][0]["shape"] == [*[{"low": 16, "high": 64, "multiple": 4}] * 2, 3]
    assert written.differences["image"].largest <= 1
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(tmp_path / "half.onnx", options)
    assert [item.name for item in session.get_inputs()] == ["source"]
    pictures = np.random.default_rng(0).integers(0, 256, (3, 20, 64, 3), dtype=np.uint8)
    image = session.run(["image"], {"source": pictures})[0]
    assert image.shape == (3, 10, 32, 3)
    assert np.abs(image - pictures.reshape(3, 10, 2, 32, 2, 3).mean((2, 4))).max() < 1
    doubled = session.run(["image"], {"source": pictures // 2, "gain": np.ones((1, 1), np.float32)})[0]
    assert np.abs(doubled.astype(int) - image).max() <= 2


def test_optional_inputs_that_nothing_uses_are_left_out() -> None:
    class Deaf(Speaker):
        def forward(self, latent: Tensor, age: Tensor, mood: Tensor | None = None) -> Tensor:
            return super().forward(latent, age)

    mood = Input("mood", "number", "float32", (3,), optional=True)
    model, inputs = graph.to_onnx(Deployment(Deaf().eval(), (LATENT, AGE, mood), (SOUND,)), "deaf")
    assert inputs == (LATENT, AGE)
    assert [item.name for item in model.graph.input] == ["latent", "age"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shape": (15,)}, r"audio float \['batch', 16\] where its task says float32 \['batch', 15\]"),
        ({"dtype": "float64"}, "where its task says float64"),
    ],
)
def test_a_graph_that_is_not_as_its_task_says_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        graph.to_onnx(
            Deployment(Speaker().eval(), (LATENT, AGE), (dataclasses.replace(SOUND, **changes),)), "s"
        )


def run(names: Any, feed: verification.Feed) -> list[np.ndarray]:
    """Give what the speaker gives."""
    with torch.no_grad():
        return [SPEAKER.module(*[torch.from_numpy(array) for array in feed.values()]).numpy()]


def test_a_sound_may_be_one_step_off_and_no_more() -> None:
    found = verification.verify(SPEAKER, run)["audio"]
    assert (found.largest, found.share) == (0, 0)
    off = verification.verify(SPEAKER, lambda names, feed: [run(names, feed)[0] + np.float32(2**-15)])[
        "audio"
    ]
    assert 0 < off.largest <= 2**-15
    with pytest.raises(ModelError, match="of full scale off PyTorch"):
        verification.verify(SPEAKER, lambda names, feed: [run(names, feed)[0] + np.float32(2**-14)])
    with pytest.raises(ModelError, match="off PyTorch"):
        verification.verify(SPEAKER, lambda names, feed: [run(names, feed)[0] * np.float32(np.nan)])


def test_a_sound_that_depends_on_its_batch_is_refused() -> None:
    def by_batch(names: Any, feed: verification.Feed) -> list[np.ndarray]:
        return [run(names, feed)[0] + np.float32(len(feed["age"]) * 1e-7)]

    with pytest.raises(ModelError, match="another audio at batch 7 than at 64; round it"):
        verification.verify(SPEAKER, by_batch)


def test_examples_are_conditions_of_seeds_whatever_their_number() -> None:
    few, many = (verification.example_feeds((LATENT, AGE), count)[0] for count in (3, 9))
    assert few.keys() == {"latent", "age"}
    assert all(np.array_equal(few[name], many[name][:3]) for name in few)
    small, large, fed = verification.example_feeds(SHRINKER.inputs, 2)
    assert (small["source"].shape, large["source"].shape) == ((2, 16, 16, 3), (2, 20, 20, 3))
    assert "gain" in fed
    assert "gain" not in small
