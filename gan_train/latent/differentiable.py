"""Opens a run or a model file as a differentiable generator: latents to pixel values."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from torch import Tensor

from gan_infer.decoding import ranges
from gan_infer.errors import OptionError
from gan_infer.models.generator import Generator
from gan_train.export import interpreter
from gan_train.export.generator import TRUNCATION
from gan_train.latent.inversion import PixelValues
from gan_train.networks.conditioning import NAMES
from gan_train.networks.pixels import PixelGenerator
from gan_train.runs import checkpoint, trained
from gan_train.runs.progress import Say, silent


@dataclasses.dataclass(frozen=True)
class DifferentiableGenerator:
    """A generator whose latents can be optimised by gradient descent.

    Attributes:
        name: for people.
        pixel_values: latents float32 [n, latent_dim] and classes int64 [n] (or None) to pixel values float
            [n, height, width, channels], not rounded.
        shape: (height, width, channels).
        fit: how a picture is brought to this shape, "crop" or "pad".
        truncation: the factor by which the model file, or a default export, scales latents.
            `pixel_values` takes latents after scaling: the file's latents are these divided by it.
        value_range: which values of deep pictures were black and white in training, "auto" if not known.
    """

    name: str
    pixel_values: PixelValues
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    latent_dim: int
    distribution: str
    fit: str
    truncation: float
    value_range: str = ranges.AUTO


def of_model(source: str, *, trust: bool = False) -> DifferentiableGenerator:
    """Open a model file.

    Raises:
        ModelError: it is no generator of ours, or has an operator that exports do not write.
    """
    generator = Generator.load(source, device="cpu", trust=trust)
    metadata = generator.metadata
    network = interpreter.load(Path(generator.source))

    def pixel_values(latent: Tensor, *given: Tensor | None) -> Tensor:
        fed = {name: tensor for name, tensor in zip(NAMES, given, strict=False) if tensor is not None}
        return network({"latent": latent / metadata.truncation, **fed})["image"]

    data = metadata.recipe.get("data")
    fit = data.get("fit", "crop") if isinstance(data, dict) else "crop"
    return DifferentiableGenerator(
        name=f"model {generator.name}",
        pixel_values=pixel_values,
        shape=generator.image_shape,
        class_names=generator.class_names,
        latent_dim=generator.latent_dim,
        distribution=metadata.latent_distribution,
        fit="pad" if fit == "pad" else "crop",
        value_range=str(ranges.of_recipe(metadata.recipe) or ranges.AUTO),
        truncation=metadata.truncation,
    )


def of_run(
    run: Path | None, which: str, runs: Path, truncation: float = TRUNCATION, say: Say = silent
) -> DifferentiableGenerator:
    """Open a run's averaged generator; by default that of the newest run under `runs`.

    Args:
        truncation: of the model file that it is or will be exported to.
        say: prints a note if another checkpoint than `which` had to be used.

    Raises:
        OptionError: there is no such run or checkpoint.
    """
    if run is not None and not run.is_dir():
        raise OptionError(f"no run at {run}; give the folder of a run that gan-train fit wrote")
    folder = run or checkpoint.newest_run(runs)
    loaded = trained.load(folder, which, say)
    sampler, data = loaded.sampler(), loaded.options.data
    if sampler.others:
        raise OptionError(
            f"run {folder} has conditions of other kinds than a class "
            f"({', '.join(each.name for each in sampler.others)}), which are not looked for here; give "
            "another run"
        )
    return DifferentiableGenerator(
        name=f"run {folder}, checkpoint {which}",
        pixel_values=PixelGenerator(sampler.generator).eval().requires_grad_(False).pixel_values,
        shape=(data.height, data.width, data.channels),
        class_names=loaded.class_names,
        latent_dim=sampler.latent_dim,
        distribution=sampler.distribution,
        fit=data.fit,
        value_range=data.value_range,
        truncation=truncation,
    )
