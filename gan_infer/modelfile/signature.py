"""Compares the inputs and outputs of a model file with the lists in its metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from gan_infer.conditions.spec import Input, Spec
from gan_infer.errors import ModelError

if TYPE_CHECKING:
    from gan_infer.modelfile.metadata import ModelMetadata
    from gan_infer.runtime.session import AnySession

# The type as the runtime writes it; the shape, None for a free side.
End = tuple[str, tuple[int | None, ...]]
Signature = Mapping[str, End]

_TYPES: Final = {
    "float16": "tensor(float16)",
    "float32": "tensor(float)",
    "float64": "tensor(double)",
    "int32": "tensor(int32)",
    "int64": "tensor(int64)",
    "uint8": "tensor(uint8)",
    "bool": "tensor(bool)",
}


def check_signature(session: AnySession, metadata: ModelMetadata, source: str) -> None:
    """Refuse a file with other inputs and outputs than its metadata lists.

    Optional inputs may be missing, see `find_inputs`; further outputs are not computed.

    Raises:
        ModelError: they differ.
    """
    inputs = {spec.name: _end(spec) for spec in metadata.inputs if not spec.optional}
    outputs = {spec.name: _end(spec) for spec in metadata.outputs}
    given = {name: end for name, end in session.outputs.items() if name in outputs}
    if session.inputs != inputs or given != outputs:
        raise ModelError(
            f"{source} has inputs {write_signature(session.inputs)} and outputs "
            f"{write_signature(session.outputs)}; its metadata says {write_signature(inputs)} and "
            f"{write_signature(outputs)}; export it again"
        )


def find_inputs(session: AnySession, inputs: Iterable[Input]) -> tuple[Input, ...]:
    """Return the listed inputs that a file has; it may lack optional ones."""
    return tuple(spec for spec in inputs if not spec.optional or _has(session, spec))


def write_signature(signature: Signature) -> str:
    """Return inputs or outputs as text."""
    return ", ".join(f"{name} {kind}{list(shape)}" for name, (kind, shape) in signature.items())


def _has(session: AnySession, spec: Spec) -> bool:
    kind, shape = session.optional_inputs.get(spec.name, ("", ()))
    wanted, sides = _end(spec)
    return kind == wanted and shape[1:] == sides[1:]  # the batch may be 1, for all


def _end(spec: Spec) -> End:
    return _TYPES[spec.dtype], (None, *(side if isinstance(side, int) else None for side in spec.shape))
