"""Runs an exported generator in PyTorch, so that its latents can be optimised by gradient descent.

Only the operators that our exports write are supported. Everything is computed in float32, and what would
stop a gradient (rounding, the cast to pixel values) is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import Tensor

from gan_infer.errors import ModelError

Attributes = Mapping[str, Any]
Operator = Callable[[Sequence[Any], Attributes], Any]


def load(path: Path) -> Callable[[Mapping[str, Tensor]], dict[str, Tensor]]:
    """Return a model file as a function from its inputs by name to its outputs by name.

    Raises:
        ModelError: it has an operator that is not supported; names it.
    """
    graph = onnx.load_model_from_string(path.read_bytes()).graph
    if unknown := sorted({node.op_type for node in graph.node} - set(_OPERATORS)):
        raise ModelError(
            f"{path} has operators that cannot be followed backwards ({', '.join(unknown)}); "
            "give the run that it was exported from, with --run"
        )
    constants = {item.name: _constant(numpy_helper.to_array(item)) for item in graph.initializer}
    steps = [
        (
            _OPERATORS[node.op_type],
            list(node.input),
            list(node.output),
            {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute},
        )
        for node in graph.node
    ]
    wanted = [item.name for item in graph.output]

    def run(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        values: dict[str, Any] = {**constants, **inputs, "": None}
        for operator, needed, made, attributes in steps:
            values[made[0]] = operator([values[name] for name in needed], attributes)
        return {name: values[name] for name in wanted}

    return run


def _constant(array: Any) -> Tensor:
    tensor = torch.from_numpy(array.copy())
    return tensor.float() if tensor.is_floating_point() else tensor


def _pad(x: Tensor, pads: Sequence[int]) -> tuple[Tensor, int | tuple[int, ...]]:
    """Return (x, padding) for a convolution; if two sides differ, x is padded beforehand."""
    top, left, bottom, right = pads
    if (top, left) == (bottom, right):
        return x, (top, left)
    return F.pad(x, (left, right, top, bottom)), 0


def _conv(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    x, padding = _pad(inputs[0], attributes.get("pads", (0, 0, 0, 0)))
    return F.conv2d(
        x,
        inputs[1],
        inputs[2] if len(inputs) > 2 else None,
        stride=tuple(attributes.get("strides", (1, 1))),
        padding=padding,
        dilation=tuple(attributes.get("dilations", (1, 1))),
        groups=attributes.get("group", 1),
    )


def _conv_transpose(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    made = F.conv_transpose2d(
        inputs[0],
        inputs[1],
        inputs[2] if len(inputs) > 2 else None,
        stride=tuple(attributes.get("strides", (1, 1))),
        output_padding=tuple(attributes.get("output_padding", (0, 0))),
        dilation=tuple(attributes.get("dilations", (1, 1))),
        groups=attributes.get("group", 1),
    )
    return made[..., top : made.shape[-2] - bottom, left : made.shape[-1] - right]


def _gemm(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    left = inputs[0].T if attributes.get("transA") else inputs[0]
    right = inputs[1].T if attributes.get("transB") else inputs[1]
    product: Tensor = attributes.get("alpha", 1.0) * (left @ right)
    return product + attributes.get("beta", 1.0) * inputs[2] if len(inputs) > 2 else product


def _resize(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    mode = attributes.get("mode", b"nearest").decode()
    scales = inputs[2].tolist()[2:] if len(inputs) > 2 and inputs[2] is not None else None
    size = None if scales is not None else [int(side) for side in inputs[3].tolist()[2:]]
    if mode == "nearest":
        return F.interpolate(inputs[0], size=size, scale_factor=scales, mode="nearest")
    return F.interpolate(inputs[0], size=size, scale_factor=scales, mode="bilinear", align_corners=False)


def _slice(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    x = inputs[0]
    starts, ends = inputs[1].tolist(), inputs[2].tolist()
    axes = inputs[3].tolist() if len(inputs) > 3 and inputs[3] is not None else range(len(starts))
    steps = inputs[4].tolist() if len(inputs) > 4 and inputs[4] is not None else [1] * len(starts)
    where = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        where[axis] = slice(start, end, step)
    result: Tensor = x[tuple(where)]
    return result


def _reshape(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    x, shape = inputs[0], inputs[1].tolist()
    if not attributes.get("allowzero"):
        shape = [x.shape[index] if side == 0 else side for index, side in enumerate(shape)]
    result: Tensor = x.reshape(shape)
    return result


def _batch_normalization(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    x, scale, shift, mean, variance = inputs
    return F.batch_norm(x, mean, variance, scale, shift, False, 0.0, attributes.get("epsilon", 1e-5))


def _cast(inputs: Sequence[Any], attributes: Attributes) -> Any:
    kind = attributes["to"]
    if kind in (onnx.TensorProto.INT64, onnx.TensorProto.INT32):
        return inputs[0].long()
    if kind == onnx.TensorProto.BOOL:
        return inputs[0] != 0
    return inputs[0] if inputs[0].is_floating_point() else inputs[0].float()


def _clip(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    low = inputs[1] if len(inputs) > 1 else None
    high = inputs[2] if len(inputs) > 2 else None
    return torch.clamp(inputs[0], low, high)


def _gather(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    axis, index = attributes.get("axis", 0), inputs[1]
    x: Tensor = inputs[0]
    taken = x.index_select(axis, index.reshape(-1))
    return taken.reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])


_OPERATORS: Final[dict[str, Operator]] = {
    "Add": lambda inputs, _: inputs[0] + inputs[1],
    "BatchNormalization": _batch_normalization,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": lambda inputs, attributes: torch.cat(list(inputs), attributes["axis"]),
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Div": lambda inputs, _: inputs[0] / inputs[1],
    "Equal": lambda inputs, _: inputs[0] == inputs[1],
    "Gather": _gather,
    "Gemm": _gemm,
    "Identity": lambda inputs, _: inputs[0],
    "LeakyRelu": lambda inputs, attributes: F.leaky_relu(inputs[0], attributes.get("alpha", 0.01)),
    "MatMul": lambda inputs, _: inputs[0] @ inputs[1],
    "Mul": lambda inputs, _: inputs[0] * inputs[1],
    "ReduceMax": lambda inputs, attributes: inputs[0].amax(
        tuple(inputs[1].tolist()), keepdim=bool(attributes.get("keepdims", 1))
    ),
    "Relu": lambda inputs, _: F.relu(inputs[0]),
    "Reshape": _reshape,
    "Resize": _resize,
    "Round": lambda inputs, _: inputs[0],
    "Shape": lambda inputs, attributes: torch.tensor(
        inputs[0].shape[attributes.get("start", 0) : attributes.get("end")]
    ),
    "Slice": _slice,
    "Sub": lambda inputs, _: inputs[0] - inputs[1],
    "Tanh": lambda inputs, _: torch.tanh(inputs[0]),
    "Transpose": lambda inputs, attributes: inputs[0].permute(*attributes["perm"]),
    "Unsqueeze": lambda inputs, _: _unsqueeze(inputs[0], inputs[1].tolist()),
    "Where": lambda inputs, _: torch.where(inputs[0], inputs[1], inputs[2]),
}


def _unsqueeze(x: Tensor, axes: Sequence[int]) -> Tensor:
    for axis in sorted(axes):
        x = x.unsqueeze(axis)
    return x
