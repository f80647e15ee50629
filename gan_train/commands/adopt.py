"""`gan-infer adopt`: writes a generator of another tool as one checked model file; needs the extra train."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gan_infer import console
from gan_infer.commands import shared
from gan_infer.errors import OptionError

if TYPE_CHECKING:
    from gan_train.graphs.adopt import Adopted


@click.command()
@click.argument("source", metavar="MODEL")
@click.option("--to", type=console.FilePath(), required=True, help="The file to write.")
@click.option("--name", help="The model's name.  [default: the file's]")
@click.option("--licence", default="", help="The model's licence, for its metadata.")
@click.option("--intended-use", default="", help="The intended use, for its metadata.")
@shared.foreign
@shared.trust
def adopt(
    source: str,
    to: Path,
    name: str | None,
    licence: str,
    intended_use: str,
    **foreign: str | None,
) -> None:
    """Write another tool's generator, and its data file (x.onnx.data), as one model file.

    Its inputs and output are recognised, or named by the options; the new file draws the same
    pictures. Needs the extra train.
    """
    if to.suffix.lower() != ".onnx":
        raise OptionError(f"{to} does not end in .onnx; give a name that does")
    given = shared.parse_foreign(foreign)
    if importlib.util.find_spec("onnx") is None:
        raise OptionError('adopt needs onnx, not installed here; install it: pip install "ganforge[train]"')
    from gan_infer.modelfile.reading import Reading
    from gan_train.graphs.adopt import adopt as write

    if "class_names" in given:
        given["class_names"] = tuple(given["class_names"])
    _tell(
        write(
            source,
            to,
            Reading(**given),
            name=name,
            licence=licence,
            intended_use=intended_use,
            trust=shared.is_trusted(),
            say=console.say,
        )
    )


def _tell(written: Adopted) -> None:
    metadata = written.metadata
    facts = {
        "file": f"{written.path}, {written.size_bytes / 1e6:.2f} MB",
        "inputs": written.describe_inputs(),
        "output": f"image uint8 [batch, {metadata.height}, {metadata.width}, {metadata.channels}]",
    }
    if metadata.class_names:
        names = metadata.class_names
        facts["classes"] = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    facts["read as"] = metadata.preparation.partition("read as: ")[2]
    compared = written.compared
    batches = ", ".join(map(str, compared.batches))
    facts["difference"] = f"{_levels(compared.difference)} from the foreign file, at batches {batches}"
    if compared.across_batches:
        facts["steadiness"] = f"{_levels(compared.across_batches)} from batch to batch, as the foreign file"
    for word, fact in facts.items():
        console.echo(f"{word:<11} {fact}")


def _levels(difference: int) -> str:
    return f"at most {difference} of 256 levels" if difference else "none"
