"""`gan-train invert`: finds the latent whose picture is nearest to a given one."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gan_infer import console, files
from gan_infer.commands.shared import is_trusted, trust
from gan_infer.errors import OptionError
from gan_train.commands.shared import RUNS, condition, describe_choice, find_choices
from gan_train.commands.shared import value_range as value_range_option

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from gan_train.latent.inversion import Inversion, Pixels

    Latent = npt.NDArray[np.float32]

_SHOWN_AT_LEAST: Final = 128


@click.command()
@click.argument("photo", type=console.FilePath())
@click.option("--run", type=console.FilePath(), help="The run's folder.  [default: the newest]")
@click.option("--model", help="An exported file, or a shipped model's name, instead of a run.")
@click.option("--checkpoint", "which", help="best, last, or a checkpoint's name.  [default: best]")
@condition
@click.option(
    "--fit", type=click.Choice(["crop", "pad"]), help="How to bring the photo to the generator's shape."
)
@click.option(
    "--value-range",
    metavar="LOW:HIGH",
    callback=value_range_option,
    help="Which values of a photo over 8 bits are black and white.  [default: as in training]",
)
@click.option(
    "--to", type=console.FilePath(), required=True, help="Write a sheet: photo, nearest picture, difference."
)
@click.option(
    "--latent", type=console.FilePath(), help="Write the latent, .npy or .json.  [default: TO's .npy]"
)
@click.option(
    "--truncation",
    type=console.FloatRange(0, 2, min_open=True),
    help="With a run: the truncation of the file that will use the latent.  [default: 0.9]",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the random starts."
)
@trust
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def invert(
    photo: Path,
    run: Path | None,
    model: str | None,
    which: str | None,
    given: str,
    fit: str | None,
    value_range: str | None,
    to: Path,
    latent: Path | None,
    truncation: float | None,
    seed: int,
    as_json: bool,
) -> None:
    """Find the latent whose picture is nearest to PHOTO, and say how near it is."""
    from gan_infer.outputs import image

    if model is not None and (run is not None or which is not None):
        raise OptionError("--model was given with --run or --checkpoint; give a model or a run")
    if model is not None and truncation is not None:
        raise OptionError("--model was given with --truncation; a model file has its own")
    image.format_of(to)
    kept = latent or to.with_suffix(".npy")
    if kept.suffix.lower() not in (".npy", ".json"):
        raise OptionError(f"{kept} ends in no kind of latent; give a name that ends in .npy or .json")
    files.check_writable(to)
    files.check_writable(kept)
    console.say("loading PyTorch")
    from gan_infer.decoding import ranges
    from gan_infer.decoding.decode import read
    from gan_train.export import TRUNCATION
    from gan_train.latent import differentiable, inversion

    if model is not None:
        subject = differentiable.of_model(model, trust=is_trusted())
    else:
        subject = differentiable.of_run(run, which or "best", RUNS, truncation or TRUNCATION, console.say)
    remarks: list[str] = []
    chosen = ranges.parse(value_range or subject.value_range)
    target = read(photo, subject.shape, fit or subject.fit, chosen, remarks)
    for remark in remarks:
        console.say(f"note: {photo} is among pictures that {remark}")
    choices = find_choices(subject.class_names, given, subject.name)
    found = inversion.invert(
        subject.pixel_values, target, subject.latent_dim, subject.distribution, choices, seed=seed
    )
    # As the model file takes it, which scales it itself.
    own = found.latent / subject.truncation
    image.save(_sheet(target, found.picture), to)
    facts = _facts(photo, subject.name, subject.class_names, found)
    _write_latent(kept, own, {**facts, "truncation": subject.truncation})
    if as_json:
        console.echo_json({**facts, "sheet": str(to), "latent_file": str(kept)})
        return
    named = "" if found.given is None else f" of class {subject.class_names[found.given]}"
    console.echo(f"sheet    {to}: photo, nearest{named}, difference")
    console.echo(f"latent   {kept}, for model files of truncation {subject.truncation:g}")
    near = "equal" if math.isinf(found.psnr) else f"{found.psnr:.1f} dB"
    console.echo(f"near     PSNR {near}, mean difference {found.difference:.1f} of 255 levels")


def _sheet(target: Pixels, nearest: Pixels) -> Pixels:
    """Lay the photo, the nearest picture and their difference (grey where they agree) side by side."""
    import numpy as np

    from gan_infer.outputs import image

    gap = nearest.astype(np.int16) - target
    difference = np.clip(128 + gap // 2, 0, 255).astype(np.uint8)
    if difference.shape[2] == 4:
        difference[..., 3] = 255
    factor = image.factor_for(target.shape[0], target.shape[1], _SHOWN_AT_LEAST)
    large = [image.enlarge(picture, factor) for picture in (target, nearest, difference)]
    return image.tile(np.stack(large), 3, gap=factor)


def _facts(photo: Path, name: str, class_names: tuple[str, ...], found: Inversion) -> dict[str, Any]:
    return {
        "photo": photo.name,
        "subject": name,
        **describe_choice(class_names, found.given),
        "psnr_db": None if math.isinf(found.psnr) else round(found.psnr, 3),
        "mean_difference_levels": round(found.difference, 3),
        "latent_length": round(found.length, 4),
    }


def _write_latent(target: Path, latent: Latent, facts: dict[str, Any]) -> None:
    """Write float32 [1, latent_dim] as .npy, or the facts with the latent's numbers as .json."""
    import numpy as np

    if target.suffix.lower() == ".json":
        text = console.to_json({**facts, "latent": latent.tolist()})
        files.write(target, text.encode())
        return
    body = io.BytesIO()
    np.save(body, latent[None])
    files.write(target, body.getvalue())
