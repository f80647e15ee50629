"""Finds the directions that a generator's first layer responds to most, without examples or pictures.

Closed-form factorisation (Shen and Zhou, CVPR 2021, equation 3): with A the first linear map of the
latent, the unit vectors n that maximise |A n| are the eigenvectors of A^T A.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

Doubles = npt.NDArray[np.float64]

COUNT: Final = 6


def strongest(first_layer: Doubles, count: int) -> Doubles:
    """Return the `count` strongest directions of a matrix [features, latent_dim], strongest first.

    Returns:
        float64 [at most count, latent_dim], orthogonal, of length 1; the largest element of each is
        positive, since a direction has no natural sign.
    """
    _, vectors = np.linalg.eigh(first_layer.T @ first_layer)  # eigenvalues ascend
    found = vectors.T[::-1][:count]
    largest = np.take_along_axis(found, np.abs(found).argmax(1)[:, None], 1)
    return np.ascontiguousarray(found * np.sign(largest))


def first_layer(model: onnx.ModelProto, latent_dim: int) -> Doubles | None:
    """Return the first linear map of `latent` in an exported graph, [features, latent_dim].

    None if the latent does not go straight to a matrix product.
    """
    constants = {item.name: item for item in model.graph.initializer}
    value = "latent"
    for _ in range(8):  # steps on the way: a factor, a concatenation, a change of type
        after = [node for node in model.graph.node if value in node.input]
        if len(after) != 1:
            return None
        node = after[0]
        if node.op_type in {"Gemm", "MatMul"} and node.input[0] == value and node.input[1] in constants:
            matrix = numpy_helper.to_array(constants[node.input[1]]).astype(np.float64)
            turned = any(item.name == "transB" and item.i for item in node.attribute)
            matrix = matrix if turned else matrix.T
            return matrix[:, :latent_dim] if matrix.ndim == 2 and matrix.shape[1] >= latent_dim else None
        passes = node.op_type in {"Mul", "Identity", "Cast"}
        if not passes and not (node.op_type == "Concat" and node.input[0] == value):
            return None
        value = node.output[0]
    return None
