"""Draws and measures what a report shows of a run: sheets, the walk, scores and neighbours."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gan_infer import files
from gan_infer.outputs import image
from gan_train.data import DataSet, PictureSet
from gan_train.metrics.evaluator import Draw, Evaluator, Scores
from gan_train.metrics.feature_networks import AUTO
from gan_train.reports import sheet, walk
from gan_train.runs import checkpoint
from gan_train.runs.progress import Say
from gan_train.tasks import Task, state
from gan_train.tasks.base import Drawer, Players
from gan_train.training.checkpoints import Progress

_NEIGHBOURLY = 12


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """Samples of a run and their scores, before anything is written.

    Attributes:
        broken: the network with a weight that is not finite, None if there is none.
        measured: the scores; None if nothing is measured.
        sheet, walk, neighbours: what the report shows, None if there is nothing to show.
    """

    broken: str | None
    measured: Scores | None = None
    sheet: npt.NDArray[np.uint8] | None = None
    walk: bytes | None = None
    neighbours: npt.NDArray[np.uint8] | None = None


def take_snapshot(task: Task, players: Players, evaluator: Evaluator | None) -> Snapshot:
    """Measure samples, and draw what the report shows of them."""
    broken, drawer = state.first_non_finite(players), task.drawer(players)
    if drawer is None:
        return Snapshot(broken)
    measured = nearest = None
    if evaluator is not None and broken is None:
        measured = evaluator.score(_draw_with(drawer), drawer.classes > 0)
    drawn, frames = sheet.draw(drawer, task.draws), walk.draw(drawer, task.draws)
    if evaluator is not None:
        nearest = evaluator.draw_nearest(_draw_with(drawer), _NEIGHBOURLY, drawer.classes > 0)
    return Snapshot(broken, measured, drawn, None if frames is None else walk.animation(frames), nearest)


def _draw_with(drawer: Drawer) -> Draw:
    """Return a function that draws the outputs of the seeds from 0 up."""
    return lambda count, given: drawer.draw(range(count), given)


def write(run: Path, seen: int, snapshot: Snapshot, tell: Callable[[Path], object]) -> None:
    """Write sheet, walk and neighbours into a run's folder.

    Args:
        tell: takes the path of the new sheet.
    """
    if snapshot.sheet is not None:
        path = run / checkpoint.SAMPLES / f"{checkpoint.name_of(seen)}.png"
        image.save(snapshot.sheet, path)
        tell(path)
    if snapshot.walk is not None:
        files.write(run / checkpoint.WALK, snapshot.walk)
    if snapshot.neighbours is not None:
        image.save(snapshot.neighbours, run / checkpoint.NEIGHBOURS)


def drop_after(run: Path, images_seen: int) -> None:
    """Drop the sheets of more images."""
    for path in (run / checkpoint.SAMPLES).glob("[0-9]*.png"):
        if path.stem > checkpoint.name_of(images_seen) and path.is_file():
            path.unlink()


def prepare_evaluator(
    pictures: DataSet,
    wanted: str,
    count: int | None,
    seed: int,
    progress: Progress,
    device: Any,
    note: Say,
) -> Evaluator:
    """Return the evaluator of a run, with the feature network that measured it before.

    Args:
        wanted: the network that the options name.
        count: how many samples are drawn, see `EvaluationOptions`.
    """
    settled = _settled_network(progress, wanted)
    return Evaluator.prepare(
        PictureSet.of(pictures),
        settled.get("network", wanted),
        count,
        seed,
        note,
        device,
        why=settled.get("why", ""),
    )


def _settled_network(progress: Progress, wanted: str) -> Mapping[str, str]:
    """Return the network chosen before, and why: scores by two networks cannot be compared.

    A network that is asked for by name wins all the same. Older checkpoints have it in their history.
    """
    settled: Mapping[str, str] = progress.network
    if not settled and progress.history:
        protocol = progress.history[-1]["protocol"]
        settled = {"network": protocol["network"], "why": protocol["why"]}
    return settled if wanted in (AUTO, settled.get("network")) else {}
