"""Opens a model file: finds it, reads it, and checks that it is of the requested kind."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from gan_infer.errors import ModelError, OptionError
from gan_infer.modelfile import catalog
from gan_infer.modelfile.metadata import CRITIC, GENERATOR, KEY, CriticMetadata, Metadata, kind_of
from gan_infer.modelfile.reading import Reading
from gan_infer.runtime.devices import Providers
from gan_infer.runtime.session import AnySession, Session

if TYPE_CHECKING:
    import onnxruntime as ort

    from gan_infer.modelfile.safety import Summary

_CALLED: Final = {GENERATOR: "a generator", CRITIC: "a critic"}
_OPENED_BY: Final = {GENERATOR: "Generator.load", CRITIC: "Critic.load or gan-infer score"}


@dataclasses.dataclass(frozen=True)
class Opened:
    """An open model file.

    Attributes:
        session: runs the model; that of a foreign file works like one of ours.
        metadata: what the file says about itself under `KEY`.
        source: the path, or "<bytes>".
        batch: the largest number of pictures in one call of the runtime.
        note: what the user should know about the file; "" if nothing.
    """

    session: AnySession
    metadata: Metadata | CriticMetadata
    source: str
    batch: int
    note: str = ""


def open_model(
    source: catalog.Source,
    kind: str,
    device: str = "auto",
    providers: Providers | None = None,
    session_options: ort.SessionOptions | None = None,
    threads: int | None = None,
    reading: Reading | None = None,
    *,
    trust: bool = False,
) -> Opened:
    """Open a model file of a kind.

    Args:
        source: as `catalog.read` takes it.
        kind: GENERATOR or CRITIC.
        device, providers, session_options, threads: as `Session` takes them.
        reading: how to read a file of other tools, if that cannot be recognised; None accepts only
            our files.
        trust: open a file that is not known without a trial.

    Raises:
        ModelError: there is no such file, `safety` refuses it, it fails its trial, it is neither ours nor
            can be recognised, or it is of another kind.
        DeviceError: the requested device is not available; the message says what is missing.
        OptionError: `device` is unknown, `threads` is out of range, or `reading` does not fit the file.
    """
    if not isinstance(trust, bool):
        raise OptionError(f"trust was {str(trust)[:60]!r}; give True or False")
    from gan_infer.modelfile import admission  # slow to import, and not needed by `import gan_infer`

    file = catalog.read(source)
    verdict, metadata = admission.find_verdict(file.sha256), None
    if verdict is None:
        vetted = _vet(file.body, file.source)
        metadata = _describe(vetted.metadata.get(KEY), kind, file.source, reading)
        verdict = (
            admission.trust(vetted)
            if trust
            else admission.decide(file.body, file.sha256, file.source, vetted, metadata)
        )
    session = Session(
        file.body,
        source=file.source,
        device=device,
        providers=providers,
        session_options=session_options,
        threads=threads,
        sha256=file.sha256,
    )
    try:
        metadata = metadata or _describe(session.metadata.get(KEY), kind, file.source, reading)
        if metadata is not None:
            if not verdict.golden:
                verdict = admission.check_here(session.run, file.sha256, file.source, verdict, metadata)
            return Opened(session, metadata, file.source, verdict.batch, verdict.note)
        from gan_infer.modelfile import foreign  # most files are ours

        assert reading is not None
        adapted = foreign.adapt(session, file.body, file.source, reading, verdict.batch)
        metadata = Metadata.from_json(adapted.metadata[KEY])
        return Opened(adapted, metadata, file.source, verdict.batch, verdict.note)
    except BaseException:
        session.close()
        raise


def _vet(body: bytes, source: str) -> Summary:
    """Vet the bytes that the runtime will get; the error says what would make a refused file load."""
    from gan_infer.modelfile import safety  # a known file does not need it

    try:
        return safety.check(body, source)
    except ModelError as error:
        from gan_infer.modelfile import foreign  # most files are accepted

        raise ModelError(foreign.advise(str(error), source)) from None


def _describe(
    text: str | None, kind: str, source: str, reading: Reading | None
) -> Metadata | CriticMetadata | None:
    """Return what a file of ours says about itself; None for a file of other tools, if those are accepted."""
    if text is None:
        if reading is None:
            raise ModelError(
                f"{source} is an ONNX model without {KEY!r} metadata, so not one of our {kind}s; "
                "give a file that gan-train export wrote"
            )
        return None
    found = kind_of(text)
    if found != kind:
        hint = f"; open it with {_OPENED_BY[found]}" if found in _OPENED_BY else ""
        raise ModelError(f"{source} is {_CALLED.get(found, f'a {found!r}')}, not {_CALLED[kind]}{hint}")
    if reading is not None and (given := reading.given()):
        raise OptionError(f"{source} says itself how it is to be read; leave out {', '.join(given)}")
    return CriticMetadata.from_json(text) if kind == CRITIC else Metadata.from_json(text)
