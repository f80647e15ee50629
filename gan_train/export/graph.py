"""From a PyTorch network to an ONNX model by the contract; it writes no files."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Mapping
from typing import Any, Final

import onnx
import torch
from torch import nn

from gan_infer.modelfile.metadata import Metadata
from gan_train.graphs.contract import check, label, strip
from gan_train.networks.pixels import PixelGenerator

# Operators of 2022 are all that is needed, and let runtimes since then take the file.
OPSET: Final = 18
IR_VERSION: Final = 8


def to_onnx(generator: nn.Module, metadata: Metadata) -> onnx.ModelProto:
    """Return the model of a generator on the CPU, in eval mode, named and shaped by the contract.

    Raises:
        ModelError: the graph breaks the contract or the ONNX checker's rules.
    """
    inputs = {"latent": torch.zeros(2, metadata.latent_dim)}
    if metadata.conditional:
        inputs["label"] = torch.zeros(2, dtype=torch.int64)
    model = traced(PixelGenerator(generator, metadata.truncation).eval(), inputs, "image", "generator")
    label(model, metadata)
    check(model)
    return model


def traced(network: nn.Module, inputs: Mapping[str, torch.Tensor], output: str, name: str) -> onnx.ModelProto:
    """Return the model of a network in eval mode on the CPU, without anything of this machine in it.

    Args:
        inputs: examples by the names that the inputs get, in the order of the network's arguments;
            the first dimension of each is the batch.
        output: the name that the output gets.
        name: of the graph.
    """
    batch = torch.export.Dim("batch")
    # The exporter talks on stdout and warns of its own internals; errors still get through.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program: Any = torch.onnx.export(
            network,
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=[output],
            dynamic_shapes=[{0: batch} for _ in inputs],
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    model: onnx.ModelProto = program.model_proto
    strip(model, name)
    model.ir_version = IR_VERSION
    return model


__all__ = ["check", "label", "to_onnx", "traced"]
