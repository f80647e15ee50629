"""Converts a graph to an operator set and IR version of the contract."""

from __future__ import annotations

from typing import Final

import onnx

from gan_infer.errors import ModelError
from gan_infer.modelfile import safety
from gan_train.graphs.contract import MAX_IR_VERSION, MAX_OPSET

# Below it, operators that the contract's own part of the graph needs are missing.
MIN_OPSET: Final = 11
# Supported by runtimes since 2022.
_IR_VERSION: Final = 8
_OWN: Final = ("", "ai.onnx")


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of ONNX's own operators, 1 if the file names none."""
    return max((int(item.version) for item in model.opset_import if item.domain in _OWN), default=1)


def drop_unused_domains(model: onnx.ModelProto, source: str) -> None:
    """Leave only one operator set, ONNX's own.

    Raises:
        ModelError: an operator is of another domain.
    """
    used = sorted({node.domain for node in model.graph.node} - set(_OWN))
    if used:
        raise ModelError(
            f"{source} uses operators of the domain {', '.join(used)[:60]!r}; export it again without the "
            "runtime's own or custom operators"
        )
    version = opset_of(model)
    for node in model.graph.node:
        node.domain = ""
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", version))


def convert(model: onnx.ModelProto, source: str) -> onnx.ModelProto:
    """Return the model with an operator set that the contract accepts; unchanged if it has one.

    Raises:
        ModelError: it cannot be converted.
    """
    found = opset_of(model)
    if MIN_OPSET <= found <= MAX_OPSET:
        return model
    wanted = MAX_OPSET if found > MAX_OPSET else MIN_OPSET
    known = onnx.defs.onnx_opset_version()
    advice = "export it again with opset_version=18"
    if found > known:
        raise ModelError(
            f"{source} is of operator set {found}, and the installed onnx knows up to {known}; update onnx, "
            f"or {advice}"
        )
    try:
        converted = onnx.version_converter.convert_version(model, wanted)
    except Exception as error:  # what the converter lacks fails with errors of every class
        reason = " ".join(str(error).split())[-160:]
        raise ModelError(
            f"{source} is of operator set {found} and cannot be converted to {wanted} ({reason}); {advice}"
        ) from None
    result: onnx.ModelProto = converted
    return result


def vet_before(model: onnx.ModelProto, source: str) -> None:
    """Vet a model of any version, before code reads it that trusts more than the vetting.

    Raises:
        ModelError: it is refused.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    low, high = safety.OPSETS
    for item in copy.opset_import:
        item.version = min(max(item.version, low), high)
    copy.ir_version = min(max(copy.ir_version, safety.IR_VERSIONS[0]), safety.IR_VERSIONS[1])
    safety.check(copy.SerializeToString(), source)


def set_ir_version(model: onnx.ModelProto) -> None:
    """Set the oldest IR version that the operator set allows."""
    needed = onnx.helper.find_min_ir_version_for(model.opset_import)
    model.ir_version = min(max(needed, _IR_VERSION), MAX_IR_VERSION)
