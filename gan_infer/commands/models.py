"""`gan-infer models`: lists the available models, and draws a sheet of their pictures."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from gan_infer import console
from gan_infer.commands import shared
from gan_infer.modelfile import catalog

if TYPE_CHECKING:
    from PIL import Image

    from gan_infer.provenance.record import Provenance

_PICTURES: Final = 8
_SIDE: Final = 64
_GAP: Final = 4
_TITLE: Final = 18


@dataclasses.dataclass(frozen=True)
class Row:
    """An available model; `problem` says why it cannot be used, and then the rest is empty."""

    name: str
    bytes: int
    image: str = ""
    classes: tuple[str, ...] = ()
    licence: str = ""
    folder: str = ""
    problem: str = ""


@click.command()
@click.option("--to", type=console.FilePath(), help="Also write a sheet with pictures by each model.")
@shared.provenance
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def models(to: Path | None, provenance: bool, as_json: bool) -> None:
    """List the models: those shipped, and those fetched.

    Fetched models come from the Hugging Face Hub, by an address such as hf://owner/repository.
    """
    from gan_infer.modelfile import hub
    from gan_infer.outputs.image import format_of

    if to is not None:
        format_of(to)  # a bad name is refused before the work
    available = {**catalog.shipped_models(), **hub.list_fetched()}
    rows = [_make_row(name, path) for name, path in available.items()]
    if to is not None:
        _write_sheet([row.name for row in rows if not row.problem], to, provenance)
    if as_json:
        console.echo_json([dataclasses.asdict(row) for row in rows], indent=2)
        return
    width = max((len(row.name) for row in rows), default=0)
    for row in rows:
        classes = f"{len(row.classes)} classes" if row.classes else "no classes"
        about = row.problem or f"{row.image:<10} {classes:<12} {row.licence or '(no licence given)'}"
        line = f"{row.name:<{width}}  {row.bytes / 1e6:7.2f} MB  {about}  {row.folder}"
        console.echo(line.rstrip())
    if to is not None:
        console.echo(to)


def _make_row(name: str, path: Path) -> Row:
    from gan_infer.errors import ModelError
    from gan_infer.modelfile import safety
    from gan_infer.modelfile.metadata import KEY, Metadata

    size = path.stat().st_size
    try:
        found = catalog.read(name if name in catalog.shipped_models() else path)
        texts = safety.check(found.body, str(path)).metadata
        if KEY not in texts:
            return Row(name, size, folder=str(path.parent), problem=f"it has no {KEY!r} metadata")
        metadata = Metadata.from_json(texts[KEY])
    except ModelError as error:
        return Row(name, size, folder=str(path.parent), problem=str(error))
    image = "x".join(map(str, metadata.image_shape))
    return Row(name, size, image, metadata.class_names, metadata.licence, str(path.parent))


def _write_sheet(names: list[str], to: Path, provenance: bool) -> None:
    """Write a strip of pictures per model, with its name above; pictures are scaled to about 64 pixels."""
    import numpy as np

    from gan_infer.errors import ModelError
    from gan_infer.outputs.image import save

    if not names:
        raise ModelError("there are no models to draw; leave --to out, or install ganforge again")
    drawn = _draw_strips(names)
    if len(drawn) < len(names):
        console.say(f"{to} shows the first {len(drawn):,} of {len(names):,} models")
    strips = [strip for strip, _ in drawn]
    width = max(strip.width for strip in strips)
    from PIL import Image

    sheet = Image.new("RGB", (width, sum(strip.height for strip in strips)), (32, 32, 32))
    top = 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    save(np.asarray(sheet), to, _make_record([record for _, record in drawn]) if provenance else None)


def _draw_strips(names: list[str]) -> list[tuple[Image.Image, Provenance]]:
    """Draw the strips of the first models, as many as fit on a sheet that viewers can open."""
    from gan_infer.outputs.image import VIEWABLE_SIDE

    drawn: list[tuple[Image.Image, Provenance]] = []
    height = 0
    for name in names:
        strip, record = _draw_strip(name)
        height += strip.height
        if drawn and height > VIEWABLE_SIDE:
            break
        drawn.append((strip, record))
    return drawn


def _make_record(strips: list[Provenance]) -> Provenance:
    """Make the record of the sheet: the first model in the usual fields, all of them in `more`."""
    from gan_infer.provenance.record import WHICH

    models = [json.loads(strip.to_json()) for strip in strips]
    more = {"models": [{key: model[key] for key in WHICH if key in model} for model in models]}
    pictures = sum(len(strip.seeds) for strip in strips)
    return dataclasses.replace(strips[0].without_lists(), kind="models", more=more, pictures=pictures)


def _draw_strip(name: str) -> tuple[Image.Image, Provenance]:
    from PIL import Image, ImageDraw

    from gan_infer.models.generator import Generator
    from gan_infer.outputs.image import factor_for

    source = catalog.shipped_models().get(name)
    generator = Generator.load(name if source else _find_fetched(name), device="cpu")
    height, width, channels = generator.image_shape
    count = min(16, max(_PICTURES, len(generator.class_names)))
    pictures = [image.convert("RGB") for image in generator.sample(count, seed=0, output="pil")]
    factor = factor_for(height, width, _SIDE)
    shrink = min(1.0, 2 * _SIDE / max(height * factor, width * factor))
    size = (max(1, int(width * factor * shrink)), max(1, int(height * factor * shrink)))
    resample = Image.Resampling.NEAREST if shrink == 1.0 else Image.Resampling.LANCZOS
    strip = Image.new("RGB", (count * (size[0] + _GAP) + _GAP, size[1] + _TITLE + 2 * _GAP), (32, 32, 32))
    title = f"{name}: {height}x{width}x{channels}, {len(generator.class_names)} classes"
    ImageDraw.Draw(strip).text((_GAP, _GAP), title, fill=(230, 230, 230))
    for index, picture in enumerate(pictures):
        place = (_GAP + index * (size[0] + _GAP), _TITLE + _GAP)
        strip.paste(picture.resize(size, resample), place)
    return strip, generator.provenance(range(count))


def _find_fetched(name: str) -> Path:
    from gan_infer.modelfile import hub

    return hub.list_fetched()[name]
