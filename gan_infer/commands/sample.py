"""`gan-infer sample`: writes many pictures, each to a file of its own."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gan_infer import console
from gan_infer.commands import shared

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from gan_infer.models.critic import Critic
    from gan_infer.models.generator import Generator

    # Pictures, and the seed of each.
    Drawn = Iterator[tuple[npt.NDArray[np.uint8], Iterable[int]]]

_MOST_FILES: Final = 1_000_000
_AT_ONCE: Final = 64


@click.command()
@click.argument("n", type=int)
@shared.model
@shared.device
@shared.foreign
@shared.conditions
@shared.psi
@click.option("--seed", type=int, help="The first picture's seed.  [default: a new one]")
@click.option(
    "--best-of",
    type=int,
    help="The number of candidates for each picture; the one that --critic finds most real is written.",
)
@click.option(
    "--critic",
    type=console.FilePath(str),
    help="A critic that gan-train export --critic wrote; for --best-of.",
)
@click.option("--to", type=console.FilePath(), required=True, help="The folder to write PNG files to.")
@shared.provenance
@shared.sign
def sample(
    n: int,
    model: str,
    device: str,
    given: dict[str, Any],
    psi: float,
    seed: int | None,
    best_of: int | None,
    critic: str | None,
    to: Path,
    provenance: bool,
    sign: tuple[Path, Path] | None,
    **foreign: str | None,
) -> None:
    """Write N pictures to a folder, each named by its seed."""
    from concurrent.futures import ThreadPoolExecutor

    from gan_infer.errors import OptionError
    from gan_infer.latent.seeds import fresh_seed
    from gan_infer.models.critic import Critic
    from gan_infer.outputs import image

    if to.exists() and not to.is_dir():
        raise OptionError(f"cannot write into {to}: it is a file; give the name of a folder")
    if n > _MOST_FILES:
        raise OptionError(f"{n:,} files are too many for one call; ask for at most {_MOST_FILES:,}")
    if (best_of is None) != (critic is None):
        raise OptionError("--best-of and --critic go together; give both or neither")
    signer = shared.signer(sign)
    generator = shared.load_for_pictures(model, device, **foreign)
    shared.check_names(generator, given)
    first = fresh_seed(max(1, n)) if seed is None else seed
    drawn = _iter_batches(generator, n, first, psi, given)
    if critic is not None and best_of is not None:
        opened = Critic.load(critic, device=device, trust=shared.is_trusted())
        drawn = _iter_best(generator, n, first, psi, given, best_of, opened)
    done, start, shown = 0, time.monotonic(), 0.0
    with ThreadPoolExecutor() as pool:  # encoding releases Python's lock, and is half of the work
        for batch, seeds in drawn:
            own = range(first + done, first + done + len(batch))
            names = [to / f"seed{seed:06d}.png" for seed in own]
            record = generator.provenance(own, psi=psi, **given)
            records = [record.of_one(index, seed) if provenance else None for index, seed in enumerate(seeds)]
            for _ in pool.map(image.save, batch, names, records, itertools.repeat(signer)):
                pass
            done += len(batch)
            spent = time.monotonic() - start
            if spent - shown > 2.0:
                shown = spent
                left = spent / done * (n - done)
                console.say(f"{done:,} of {n:,} pictures, {left:.0f} s left")
    console.echo(to)


def _iter_batches(generator: Generator, n: int, first: int, psi: float, given: dict[str, Any]) -> Drawn:
    done = first
    for batch in generator.iter_batches(n, seed=first, psi=psi, **given):
        yield batch, range(done, done + len(batch))
        done += len(batch)


def _iter_best(
    generator: Generator,
    n: int,
    first: int,
    psi: float,
    given: dict[str, Any],
    best_of: int,
    critic: Critic,
) -> Drawn:
    generator.iter_batches(n, seed=first, psi=psi, **given)  # checks the arguments before the work
    options: dict[str, Any] = {"best_of": best_of, "critic": critic, "psi": psi, **given}
    for start in range(0, n, _AT_ONCE):
        count = min(_AT_ONCE, n - start)
        batch, seeds = generator.choose(count, seed=first + start, **options)
        yield batch, seeds.tolist()
