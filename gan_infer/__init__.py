"""Run a ganforge generator anywhere onnxruntime runs, without PyTorch.

from gan_infer import Generator
gen = Generator.load("digits")
pictures = gen.sample(16, label=4, seed=0)  # uint8 [16, height, width, channels]
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gan_infer.errors import (
    DataError,
    DeviceError,
    GanError,
    LabelError,
    ModelError,
    OptionError,
    TrainingError,
)
from gan_infer.version import __version__

if TYPE_CHECKING:
    from gan_infer.critic import Critic
    from gan_infer.generator import Generator
    from gan_infer.metadata import Metadata

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


_LATER = {
    "Critic": "gan_infer.critic",
    "Generator": "gan_infer.generator",
    "Metadata": "gan_infer.metadata",
}


def __getattr__(name: str) -> Any:
    """Import what needs numpy when it is first asked for (PEP 562)."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(_LATER[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
