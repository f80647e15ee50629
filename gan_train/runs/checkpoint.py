"""Reads and writes the files of a run folder: checkpoints and the pointers to them.

A checkpoint is `checkpoints/<images seen>.safetensors` with only tensors, and a `.json` beside it
with the facts and the SHA-256 of both, written last: one without the other does not count.
`last` and `best` are texts with the name of a checkpoint. Nothing is ever unpickled.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import safetensors
import safetensors.torch
from torch import Tensor

from gan_infer import files
from gan_infer.errors import OptionError
from gan_infer.text.escaping import one_line
from gan_train.runs import journal
from gan_train.runs.progress import Say, silent

CONFIG: Final = "config.json"
LOG: Final = "log.jsonl"
TIMES: Final = "times.jsonl"
METRICS: Final = "metrics.jsonl"
EVENTS: Final = "events.jsonl"
SAMPLES: Final = "samples"
WALK: Final = "walk.webp"
NEIGHBOURS: Final = "neighbours.png"
REPORT: Final = "report.html"
_FOLDER: Final = "checkpoints"
_KEPT: Final = 3
_LONGEST_NAME: Final = 64
_OF_TENSORS: Final = "sha256"
_OF_FACTS: Final = "facts_sha256"


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Tensors by name, and the facts that go with them (plain JSON values)."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]


@contextlib.contextmanager
def only_writer(run: Path) -> Iterator[None]:
    """Lock a run's folder inside the block, against other processes of this machine.

    The folder is made if there is none. A process that is killed loses its lock; on a system or disk without
    such locks, nothing is locked.

    Raises:
        OptionError: another process holds it, or it cannot be made.
    """
    made = [folder for folder in (run, *run.parents) if not folder.exists()]
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "it is a file" if run.is_file() else error.strerror
        raise OptionError(
            f"cannot write a run to {run}: {reason}; give the name of a folder that you may write to"
        ) from None
    try:
        with _lock(run):
            yield
    finally:
        with contextlib.suppress(OSError):
            for folder in made:  # if nothing was written after all
                folder.rmdir()


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    if sys.platform == "win32":  # which cannot open a folder
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OptionError(
                f"another process is training in {folder}; wait for it, stop it, or give another --out"
            ) from None
        except OSError:
            pass
        yield
    finally:
        os.close(descriptor)


def identify_folder(run: Path) -> tuple[int, int] | None:
    """Return an identity of a folder, by which another of its name is noticed; None if there is none."""
    try:
        status = run.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def find_renamed(run: Path, place: tuple[int, int]) -> str:
    """Return the new name of a run's folder that was renamed in its place; "" if it is not found."""
    with contextlib.suppress(OSError), os.scandir(run.parent) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and identify_folder(Path(entry.path)) == place:
                return entry.name
    return ""


def save(run: Path, checkpoint: Checkpoint) -> str:
    """Write a checkpoint under its `images_seen`, and return its name."""
    name = name_of(checkpoint.facts["images_seen"])
    target = run / _FOLDER / f"{name}.safetensors"
    body = safetensors.torch.save(
        {key: tensor.detach().cpu().contiguous() for key, tensor in checkpoint.tensors.items()}
    )
    files.write(target, body)
    facts = {**checkpoint.facts, _OF_TENSORS: hashlib.sha256(body).hexdigest()}
    facts[_OF_FACTS] = _hash_of(facts)
    files.write(target.with_suffix(".json"), json.dumps(facts, indent=1).encode())
    return name


def name_of(images_seen: int) -> str:
    """Return the name of the checkpoint after this many images."""
    return f"{images_seen:012d}"


def point(run: Path, last: str, best: str) -> None:
    """Set the pointers to the newest checkpoint and to the best one, unless they are right already."""
    for pointer, name, now in zip(("last", "best"), (last, best), pointers(run), strict=True):
        if name != now:
            files.write(run / pointer, f"{name}\n".encode())


def pointers(run: Path) -> tuple[str, str]:
    """Return the names that `last` and `best` hold, "" for a missing one."""
    last, best = (_read_pointer(run / name) for name in ("last", "best"))
    return last, best


def _read_pointer(pointer: Path) -> str:
    try:
        with pointer.open("rb") as file:
            name = file.read(_LONGEST_NAME).decode("utf-8-sig").strip()
    except (OSError, ValueError):
        return ""
    return name if name.isdigit() and name.isascii() else ""


def keep(run: Path, wanted: Collection[str]) -> None:
    """Drop every checkpoint but the newest few and those named, and tensors without facts."""
    whole = names(run)
    for name in (*whole[:-_KEPT], *halves(run)):
        if name not in wanted or name not in whole:
            drop(run, name)


def drop(run: Path, name: str) -> None:
    """Remove one checkpoint; its facts first, without which it does not count."""
    for suffix in ("json", "safetensors"):
        (run / _FOLDER / f"{name}.{suffix}").unlink(missing_ok=True)


def sweep(run: Path) -> None:
    """Remove what killed writes left in a run's folder."""
    for folder in (run, run / _FOLDER, run / SAMPLES):
        files.sweep(folder)


def names(run: Path) -> list[str]:
    """List the checkpoints of a run, oldest first."""
    return _stems(run, "json")


def halves(run: Path) -> list[str]:
    """List the checkpoints that have tensors and no facts, oldest first: their write was cut short."""
    whole = set(names(run))
    return [name for name in _stems(run, "safetensors") if name not in whole]


def _stems(run: Path, suffix: str) -> list[str]:
    found = (path.stem for path in (run / _FOLDER).glob(f"*.{suffix}"))
    return sorted(stem for stem in found if stem.isascii() and stem.isdigit())


def interims(run: Path) -> list[str]:
    """List the checkpoints that were saved between two reports, oldest first."""
    return [name for name in names(run) if facts(run, name).get("interim")]


def load_newest(run: Path) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest whole checkpoint (None if there is none), and what was wrong with newer ones."""
    troubles: list[str] = []
    for name in sorted({*names(run), *halves(run)}, reverse=True):
        try:
            return load(run, name), troubles
        except OptionError as error:
            troubles.append(str(error))
    return None, troubles


def load_named(run: Path, which: str, say: Say = silent) -> Checkpoint:
    """Return the checkpoint of a name, or the one that the pointer "best" or "last" names.

    If a pointer or its checkpoint is damaged, return the newest whole checkpoint, and say so.

    Raises:
        OptionError: the folder holds no whole checkpoint, or none of that name.
    """
    if which not in ("best", "last"):
        if which not in names(run):
            there = ", ".join(names(run)) or "none"
            raise OptionError(f"{run} has no checkpoint {which!r}; give best, last, or one of {there}")
        return load(run, which)
    try:
        name = _read_pointer(run / which)
        if not name:
            raise OptionError(f"{run / which} names no checkpoint")
        return load(run, name)
    except OptionError as error:
        damage = str(error)
        checkpoint, troubles = load_newest(run)
    if checkpoint is None:
        what = f" ({troubles[0]})" if troubles else ""
        raise OptionError(
            f"{run} holds no whole checkpoint{what}; give the folder of a run that gan-train fit wrote"
        )
    say(f"note: {damage}; taking the newest whole checkpoint, {name_of(checkpoint.facts['images_seen'])}")
    return checkpoint


def facts(run: Path, name: str) -> Mapping[str, Any]:
    """Return the facts of one checkpoint without its tensors; {} if they cannot be read."""
    try:
        found = json.loads((run / _FOLDER / f"{name}.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and not _wrong_fact(found) else {}


def load(run: Path, name: str) -> Checkpoint:
    """Read one checkpoint and check its hash.

    Raises:
        OptionError: it cannot be read, or is not what was written.
    """
    path = run / _FOLDER / f"{Path(name).name}.safetensors"
    try:
        facts = json.loads(path.with_suffix(".json").read_bytes())
        body = path.read_bytes()
        if hashlib.sha256(body).hexdigest() != facts[_OF_TENSORS]:
            raise ValueError("its hash is not the one written down")
        if facts.get(_OF_FACTS, _hash_of(facts)) != _hash_of(facts):  # older ones have no hash of it
            raise ValueError("the hash of its facts is not the one written down")
        if wrong := _wrong_fact(facts):
            raise ValueError(f"its facts have a {wrong} of another kind than was written")
        if name_of(facts.get("images_seen", 0)) != path.stem:
            raise ValueError(f"its facts are those of another, of {facts['images_seen']:,} images")
        return Checkpoint(safetensors.torch.load(body), facts)
    except FileNotFoundError as error:
        raise OptionError(f"checkpoint {path} is damaged: there is no {Path(error.filename).name}") from None
    except KeyError as error:
        raise OptionError(f"checkpoint {path} is damaged: its facts have no {error}") from None
    except RecursionError:
        raise OptionError(f"checkpoint {path} is damaged: its facts are nested too deeply") from None
    except (OSError, ValueError, TypeError, AttributeError, safetensors.SafetensorError) as error:
        raise OptionError(f"checkpoint {path} is damaged: {one_line(error)}") from None


def _wrong_fact(facts: Mapping[str, Any]) -> str:
    """Name the first of the facts that is of another kind than was written; "" if all are right."""
    for name, is_right in _FACTS.items():
        if name in facts and not is_right(facts[name]):
            return name
    return ""


def _is_line(value: object) -> bool:
    """Return whether a value is a line of metrics.jsonl, as far as a run depends on it."""
    return (
        isinstance(value, dict)
        and journal.is_count(value.get("images_seen"))
        and _is_texts_to(value.get("values"), journal.is_number)
        and isinstance(value.get("protocol"), dict)
        and _is_texts_to(value.get("baseline", {}), journal.is_number)
    )


def _is_event(value: object) -> bool:
    return (
        isinstance(value, dict)
        and journal.is_count(value.get("images_seen"))
        and all(isinstance(value.get(name), str) for name in ("kind", "text"))
    )


def _is_data(value: object) -> bool:
    """Return whether a value is what `training.checkpoints.describe_data` gives, as far as it goes."""
    if not isinstance(value, dict):
        return False
    names = value.get("class_names", [])
    return (
        isinstance(names, list)
        and all(isinstance(name, str) for name in names)
        and journal.is_count(value.get("pictures", 0))
        and all(isinstance(value.get(name, ""), str) for name in ("name", "licence", "preparation"))
    )


def _is_texts_to(value: object, is_right: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(map(is_right, value.values()))


def _is_list_of(is_right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(is_right, value))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


_FACTS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "images_seen": journal.is_count,
    "seconds": journal.is_number,
    "rollbacks": journal.is_count,
    "strikes": journal.is_count,
    "good": _is_flag,
    "interim": _is_flag,
    "owed": _is_flag,
    "metrics": lambda value: value is None or _is_line(value),
    "history": _is_list_of(_is_line),
    "events": _is_list_of(_is_event),
    "judge": lambda value: _is_texts_to(value, _is_text),
    "means": lambda value: _is_texts_to(value, journal.is_number),
    "machine": lambda value: _is_texts_to(value, _is_text),
    "data": _is_data,
}


def _hash_of(facts: Mapping[str, Any]) -> str:
    facts = {key: value for key, value in facts.items() if key != _OF_FACTS}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def newest_run(runs: Path) -> Path:
    """Return the run under `runs` that saved last.

    Raises:
        OptionError: there is none.
    """
    found = [(path.stat().st_mtime_ns, path.parent) for path in runs.glob("*/last")]
    if not found:
        raise OptionError(
            f"no run under {runs}/ has saved a checkpoint yet; make one with gan-train fit, "
            "or name a run's folder with --run"
        )
    return max(found)[1]
