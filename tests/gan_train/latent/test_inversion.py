"""A generated picture is found again; model files are followed backwards as PyTorch itself is."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from gan_infer import Generator, ModelError, OptionError
from gan_infer.decoding import decode
from gan_train import cli
from gan_train.export import interpreter
from gan_train.latent import differentiable, inversion
from tests.conftest import (
    CONDITIONAL,
    DCGAN,
    EVERY_KIND,
    TINY,
    UNCONDITIONAL,
    CommandLine,
    Kind,
    Run,
    make_network,
)

Models = Callable[[Kind], Path]
QUICK = inversion.Effort(drawn=256, rounds=((8, 20), (2, 40)), finished=(1, 100))


@pytest.fixture
def run(command_line: CommandLine) -> Run:
    """Return a function that runs gan-train in an empty folder: (exit code, stdout, stderr)."""
    return command_line("gan-train", cli.main)


@pytest.mark.parametrize("kind", EVERY_KIND, ids=str)
def test_a_file_followed_in_pytorch_gives_its_pictures_and_a_gradient(model_file: Models, kind: Kind) -> None:
    generator = Generator.load(model_file(kind), device="cpu")
    levels = differentiable.of_model(str(model_file(kind))).pixel_values
    latent = torch.from_numpy(generator.latents(range(3))).requires_grad_(True)
    labels = np.arange(3) % kind.classes if kind.classes else None
    got = levels(latent, None if labels is None else torch.from_numpy(labels))
    expected = generator(latent.detach().numpy(), labels)
    assert np.abs(got.detach().numpy() - expected).max() < 0.51
    (gradient,) = torch.autograd.grad(got.sum(), [latent])
    assert bool(torch.isfinite(gradient).all())
    assert bool((gradient.abs().sum(1) > 0).all())


def test_the_gradient_is_that_of_the_network_itself(model_file: Models) -> None:
    latent = torch.randn(2, CONDITIONAL.latent_dim, requires_grad=True)
    label = torch.tensor([3, 8])
    network = differentiable.PixelGenerator(make_network(CONDITIONAL))
    pair = []
    for levels in (differentiable.of_model(str(model_file(CONDITIONAL))).pixel_values, network.pixel_values):
        pair.append(torch.autograd.grad(levels(latent, label).square().sum(), [latent])[0])
    assert torch.allclose(pair[0], pair[1], rtol=1e-3, atol=1e-1)


def test_an_operator_that_is_not_known_is_named(model_file: Models, tmp_path: Path) -> None:
    model = onnx.load(model_file(TINY))
    model.graph.node[-1].op_type = "Loop"
    onnx.save(model, tmp_path / "odd.onnx")
    with pytest.raises(ModelError, match=r"\(Loop\).*--run"):
        interpreter.load(tmp_path / "odd.onnx")


@pytest.mark.parametrize("kind", [TINY, UNCONDITIONAL, DCGAN], ids=str)
def test_a_generated_picture_is_found_again(model_file: Models, kind: Kind) -> None:
    subject = differentiable.of_model(str(model_file(kind)))
    generator = Generator.load(model_file(kind), device="cpu")
    label = 1 if kind.classes else None
    target = generator.sample(1, label, seed=999)[0]
    labels = list(range(kind.classes)) or None
    found = inversion.invert(subject.pixel_values, target, kind.latent_dim, kind.distribution, labels, QUICK)
    assert found.psnr > 40
    assert found.difference < 2
    again = generator(found.latent[None], None if found.given is None else [found.given])[0]
    assert np.abs(again.astype(int) - found.picture).max() <= 1
    if kind.distribution == "uniform":
        assert np.abs(found.latent).max() <= 1
    else:
        assert abs(found.length - 1) < 2 * inversion.TYPICAL_SPREADS / math.sqrt(2 * kind.latent_dim)


def test_how_near_is_in_decibels_and_levels() -> None:
    target = np.zeros((2, 2, 1), np.uint8)
    latent = np.full(4, 1.0, np.float32)
    found = inversion.describe(latent, None, target + np.uint8(51), target, "normal")
    assert (found.psnr, found.difference) == (pytest.approx(20 * math.log10(5)), 51)
    assert found.length == pytest.approx(1.0)
    assert inversion.describe(latent, 2, target, target, "normal").psnr == math.inf


def test_a_picture_of_another_shape_is_refused(model_file: Models) -> None:
    subject = differentiable.of_model(str(model_file(TINY)))
    with pytest.raises(OptionError, match="the generator makes"):
        inversion.invert(subject.pixel_values, np.zeros((8, 8, 1), np.uint8), TINY.latent_dim)


def test_from_a_photo_to_a_latent_that_others_take(run: Run, model_file: Models) -> None:
    path = model_file(DCGAN)
    generator = Generator.load(path, device="cpu")
    Image.fromarray(generator.sample(1, 2, seed=5)[0]).save("photo.png")
    command = ("invert", "photo.png", "--model", path, "--to", "found.png")
    code, out, err = run(*command, "--label", "class 2", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert (told["label"], told["label_index"], told["latent_file"]) == ("class 2", 2, "found.npy")
    latent = np.load("found.npy")
    assert (latent.shape, latent.dtype) == ((1, DCGAN.latent_dim), np.float32)
    with Image.open("photo.png") as photo:
        gap = generator(latent, [2])[0].astype(float) - np.asarray(photo)
    assert told["psnr_db"] is None or told["psnr_db"] == pytest.approx(
        10 * math.log10(255**2 / np.mean(gap**2)), abs=0.3
    )
    with Image.open("found.png") as sheet:
        assert sheet.width > 2.9 * sheet.height


def test_a_latent_is_the_one_that_the_exported_file_takes(run: Run, photos: Path) -> None:
    small = ("--size", "16", "--width", "2", "--batch-size", "8", "--reports", "1", "--precision", "fp32")
    assert run("fit", photos, "--images", 16, "--set", "evaluation.samples=0", *small)[0] == 0
    assert run("export", "--to", "gen.onnx")[0] == 0
    generator = Generator.load("gen.onnx", device="cpu")
    assert generator.metadata.truncation < 1
    photo = photos / "cats" / "01.png"
    for options in (("--run", "runs/photos"), ("--model", "gen.onnx")):
        code, out, _ = run("invert", photo, *options, "--to", "a.png", "--latent", "z.json", "--json")
        assert code == 0
        told, kept = json.loads(out), json.loads(Path("z.json").read_text())
        picture = generator([kept["latent"]], [told["label_index"]])[0]
        target = decode.read(photo, (16, 16, 3), "crop")
        square = np.mean((picture.astype(float) - target) ** 2)
        assert told["psnr_db"] == pytest.approx(10 * math.log10(255**2 / square), abs=0.05)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gone.png", "--to", "a.png"], "gone.png is not there"),
        (["photo.png", "--to", "a.xyz"], ".png"),
        (["photo.png", "--to", "a.png", "--latent", "z.bin"], ".npy or .json"),
        (["photo.png", "--to", "a.png", "--label", "3"], "unconditional"),
        (["photo.png", "--to", "a.png", "--run", "here"], "give a model or a run"),
        (["cut.png", "--to", "a.png"], "cut.png is no picture"),
        (["photo.png", "--to", "a.png", "--truncation", "0.5"], "has its own"),
    ],
)
def test_bad_input_is_told_in_one_line(run: Run, model_file: Models, arguments: list[str], said: str) -> None:
    Image.new("L", (11, 8)).save("photo.png")
    Path("cut.png").write_bytes(b"GIF")
    code, out, err = run("invert", *arguments, "--model", model_file(TINY))
    assert (code, out) == (1, "")
    assert said in err.splitlines()[-1]
    assert not Path("a.png").exists()
