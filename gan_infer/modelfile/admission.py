"""Decides whether the bytes of a model file can be opened in this process.

A file with an unknown SHA-256 is vetted (`modelfile.safety`) and then tried (`modelfile.trial`); the verdict
is kept. Shipped models, and files that were tried before, such as exports on this machine, are known.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer.errors import ModelError
from gan_infer.modelfile import catalog, golden
from gan_infer.modelfile.metadata import CriticMetadata, GoldenResult, Metadata
from gan_infer.modelfile.trial import verdicts
from gan_infer.modelfile.trial.verdicts import TrialVerdict
from gan_infer.runtime import session
from gan_infer.runtime.session import BATCH

if TYPE_CHECKING:
    from gan_infer.conditions.spec import Feed, Input
    from gan_infer.modelfile.safety import Summary
    from gan_infer.modelfile.trial import host

AnyMetadata = Metadata | CriticMetadata

# The most elements that one call may need at once, 1 GiB of float32; this limits batches of large pictures.
MAX_LIVE: Final = 2**28
_TRUST: Final = "if it is your own, trust=True (on the command line: --trust) opens it without a trial"


def find_verdict(sha256: str) -> TrialVerdict | None:
    """Return the verdict on a known file; None if the file must be tried."""
    if catalog.is_shipped(sha256):
        return TrialVerdict(BATCH, golden=golden.NONE)
    found = verdicts.find(sha256, session.version())
    return None if found is None else dataclasses.replace(found, batch=min(found.batch, BATCH))


def largest_batch(vetted: Summary) -> int:
    """Return the largest number of pictures in one call that the vetting allows."""
    return max(1, min(BATCH, MAX_LIVE // max(1, vetted.live)))


def decide(
    model: bytes, sha256: str, source: str, vetted: Summary, metadata: AnyMetadata | None
) -> TrialVerdict:
    """Try a file that `safety.check` accepts, and keep the verdict.

    Threads that open the same file wait for one trial.

    Args:
        source: the name of the file, for messages.
        metadata: what a file of ours says about itself; None for others.

    Returns:
        the verdict; its `golden` is "" if the golden pictures were not compared yet, see `check_here`.

    Raises:
        ModelError: it exceeds a limit, cannot be run, or draws other pictures than it says.
    """
    with _one_at_a_time(sha256):
        runtime = session.version()
        if (found := verdicts.find(sha256, runtime)) is not None:
            return found
        verdict, compared = _try(model, source, vetted, metadata)
        _check_golden(source, compared)
        if not verdict.tried:
            if verdict.golden:
                verdicts.remember(sha256, runtime, verdict)
            return verdict
        if why := verdicts.keep(sha256, runtime, verdict):
            note = f"the result of its trial cannot be kept, so each process tries it again: {why}"
            return dataclasses.replace(verdict, note="; ".join(filter(None, (verdict.note, note))))
        return verdict


def trust(vetted: Summary) -> TrialVerdict:
    """Return the verdict on a file that the user trusts; only the vetting bounds it."""
    return TrialVerdict(largest_batch(vetted), golden=golden.NONE)


def check_here(
    run: golden.Run, sha256: str, source: str, verdict: TrialVerdict, metadata: AnyMetadata
) -> TrialVerdict:
    """Compare the golden pictures in this process, if no other process could do it.

    Raises:
        ModelError: it draws other pictures than it says.
    """
    compared = golden.draw(run, metadata)
    _check_golden(source, compared)
    verdict = dataclasses.replace(verdict, golden=golden.worst(compared), note=make_note(compared))
    verdicts.remember(sha256, session.version(), verdict)
    return verdict


def _try(
    model: bytes, source: str, vetted: Summary, metadata: AnyMetadata | None
) -> tuple[TrialVerdict, tuple[GoldenResult, ...]]:
    from gan_infer.modelfile.trial import (
        host,  # imports subprocess, which a known file does not need
    )

    singles = _list_golden_feeds(vetted, metadata)

    def check_strictly() -> None:
        from gan_infer.modelfile import safety

        safety.check(model, source, strict=True)

    request = host.Request(
        inputs=[(name, _NUMPY.get(kind, ""), shape) for name, (kind, shape) in vetted.inputs.items()],
        outputs=_outputs(vetted, metadata),
        singles=singles,
        batch=largest_batch(vetted),
        grows=vetted.grows,
        bytes_alone=vetted.bytes_alone,
        optional=_optional(vetted, metadata),
    )
    try:
        found = host.run(model, request, check_strictly)
    except host.CannotTryError:
        check_strictly()
        return TrialVerdict(request.batch, golden="" if singles else golden.NONE, tried=False), ()
    except host.FailedError as error:
        raise ModelError(f"{source} is refused: it {error}; {_TRUST}") from None
    compared: tuple[GoldenResult, ...] = ()
    if metadata is not None and singles:
        compared = golden.compare(metadata, found.drawn)
    result = golden.worst(compared)
    verdict = TrialVerdict(
        batch=found.batch,
        limited=found.limited,
        golden=result,
        note=make_note(compared),
        open_s=round(found.open_s, 4),
        picture_s=round(found.picture_s, 4),
        memory=found.memory,
    )
    return verdict, compared


def make_note(compared: tuple[GoldenResult, ...]) -> str:
    """Return what the user should know about pictures that differ from the golden ones; "" if nothing."""
    if golden.worst(compared) != golden.UNTOLD:
        return ""
    seeds = ", ".join(str(each.seed) for each in compared if each.result == golden.UNTOLD)
    return (
        f"golden pictures of seeds {seeds} differ, and the file holds their hashes only: "
        "it is damaged, or written on another processor; see gan-infer check"
    )


def _check_golden(source: str, compared: tuple[GoldenResult, ...]) -> None:
    if golden.worst(compared) != golden.CHANGED:
        return
    off = [each for each in compared if each.result == golden.CHANGED]
    seeds = [str(each.seed) for each in off if each.seed is not None]
    what = f"pictures of seeds {', '.join(seeds)}" if seeds else f"{len(off)} of its golden scores"
    most = max((each.off for each in off if each.off is not None), default=None)
    by = (
        "" if most is None or math.isnan(most) else f" by up to {most:.3g}{' levels of 256' if seeds else ''}"
    )
    raise ChangedError(
        f"{source} was damaged or changed: it gives {what} that differ{by} from those that it says it gives; "
        "get the file again, or open it by trust=True (--trust)",
        compared,
    )


def _list_golden_feeds(vetted: Summary, metadata: AnyMetadata | None) -> list[Feed]:
    """Return the golden feeds; none if the file takes other inputs than its metadata lists."""
    if metadata is None:
        return []
    wanted = {spec.name: spec.dtype for spec in metadata.inputs if not spec.optional}
    found = {name: _dtype(kind) for name, (kind, _) in vetted.inputs.items()}
    return golden.feeds(metadata) if found == wanted and metadata.outputs[0].name in vetted.outputs else []


def _optional(vetted: Summary, metadata: AnyMetadata | None) -> list[host.Input]:
    """Return the optional inputs that are listed and that the file has."""
    listed: list[Input] = [spec for spec in metadata.inputs if spec.optional] if metadata else []
    there = [(spec, *vetted.optional[spec.name]) for spec in listed if spec.name in vetted.optional]
    return [(spec.name, _NUMPY[kind], shape) for spec, kind, shape in there if _dtype(kind) == spec.dtype]


def _dtype(kind: int) -> str:
    """Return the name in numpy of an ONNX element type; "" for a type that is not supported."""
    return str(np.dtype(_NUMPY[kind])) if kind in _NUMPY else ""


def _outputs(vetted: Summary, metadata: AnyMetadata | None) -> list[str]:
    """Return the outputs to be computed: of our files the first one listed, of a foreign file all."""
    ours = "" if metadata is None else metadata.outputs[0].name
    return [ours] if ours in vetted.outputs else list(vetted.outputs)


class ChangedError(ModelError):
    """A file draws other pictures than it says; `compared` has the results."""

    def __init__(self, message: str, compared: tuple[GoldenResult, ...]) -> None:
        super().__init__(message)
        self.compared = compared

    def __reduce__(self) -> tuple[Any, ...]:
        return ChangedError, (str(self), self.compared)


# ONNX's numbers of element types, as numpy names them.
_NUMPY: Final = {
    1: "<f4", 2: "|u1", 3: "|i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", 9: "|b1", 10: "<f2", 11: "<f8",
    12: "<u4", 13: "<u8",
}  # fmt: skip

_locks: dict[str, threading.Lock] = {}
_guard = threading.Lock()


@contextlib.contextmanager
def _one_at_a_time(sha256: str) -> Iterator[None]:
    with _guard:
        lock = _locks.setdefault(sha256, threading.Lock())
    try:
        with lock:
            yield
    finally:
        _locks.pop(sha256, None)


def _after_fork() -> None:
    """Replace the locks in a forked child, where the thread that holds one may not exist."""
    global _guard  # noqa: PLW0603
    _guard = threading.Lock()
    _locks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
