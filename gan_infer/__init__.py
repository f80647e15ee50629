"""Run a ganforge generator anywhere onnxruntime runs, without PyTorch.

from gan_infer import Generator
gen = Generator.load("digits")
pictures = gen.sample(16, label=4, seed=0)  # uint8 [16, height, width, channels]
"""

from gan_infer.critic import Critic
from gan_infer.errors import (
    DataError,
    DeviceError,
    GanError,
    LabelError,
    ModelError,
    OptionError,
    TrainingError,
)
from gan_infer.generator import Generator
from gan_infer.metadata import Metadata
from gan_infer.version import __version__

__all__ = [
    "Critic",
    "DataError",
    "DeviceError",
    "GanError",
    "Generator",
    "LabelError",
    "Metadata",
    "ModelError",
    "OptionError",
    "TrainingError",
    "__version__",
]
