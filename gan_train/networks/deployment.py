"""Deployment: a module that becomes a model file, with the lists of its inputs and outputs."""

from __future__ import annotations

import dataclasses

from torch import nn

from gan_infer.conditions.spec import Input, Output


@dataclasses.dataclass(frozen=True)
class Deployment:
    """What becomes a model file.

    Attributes:
        module: on the CPU, in eval mode: takes the inputs in order, returns the outputs, or the only one.
        inputs: what it takes, each [batch, ...]. Optional ones come last, and a row of zeros of each
            changes nothing.
        outputs: what it returns.
    """

    module: nn.Module
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
