"""`gan-infer sample`: many pictures, a file each."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Final

import click

from gan_infer import console
from gan_infer.commands import shared

_MOST_FILES: Final = 1_000_000


@click.command()
@click.argument("n", type=int)
@shared.model
@shared.device
@shared.foreign
@shared.label
@shared.psi
@click.option("--seed", type=int, help="The first picture's seed; fresh by default.")
@click.option(
    "--to", type=click.Path(path_type=Path), required=True, help="The folder to write PNG files to."
)
@shared.provenance
@shared.sign
def sample(
    n: int,
    model: str,
    device: str,
    label: str | None,
    psi: float,
    seed: int | None,
    to: Path,
    provenance: bool,
    sign: tuple[Path, Path] | None,
    **foreign: str | None,
) -> None:
    """Write N pictures to a folder, each named by its seed."""
    from concurrent.futures import ThreadPoolExecutor

    from gan_infer import images, latents
    from gan_infer.errors import OptionError

    if to.exists() and not to.is_dir():
        raise OptionError(f"cannot write into {to}: it is a file; give the name of a folder")
    if n > _MOST_FILES:
        raise OptionError(f"{n:,} files are too many for one call; ask for at most {_MOST_FILES:,}")
    signer = shared.signer(sign)
    generator = shared.load(model, device, **foreign)
    first = latents.fresh_seed(max(1, n)) if seed is None else seed
    batches = generator.iter_batches(n, label, first, psi=psi)
    done, start, shown = 0, time.monotonic(), 0.0
    with ThreadPoolExecutor() as pool:  # encoding leaves Python's lock, and is half of the work
        for batch in batches:
            seeds = range(first + done, first + done + len(batch))
            names = [to / f"seed{seed:06d}.png" for seed in seeds]
            told = [generator.provenance(seed, label, psi=psi) if provenance else None for seed in seeds]
            for _ in pool.map(images.save, batch, names, told, itertools.repeat(signer)):
                pass
            done += len(batch)
            spent = time.monotonic() - start
            if spent - shown > 2.0:
                shown = spent
                left = spent / done * (n - done)
                console.say(f"{done:,} of {n:,} pictures, {left:.0f} s left")
    click.echo(to)
