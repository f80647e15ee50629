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
    from gan_infer.apps import verification as verification
    from gan_infer.latent import seeds as latents
    from gan_infer.modelfile import catalog as catalog
    from gan_infer.modelfile.metadata import Metadata
    from gan_infer.models.critic import Critic
    from gan_infer.models.generator import Generator
    from gan_infer.outputs import animation as animation
    from gan_infer.outputs import image as images
    from gan_infer.provenance import c2pa as signing

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


# Modules that apps use have short names: gan_infer.images, gan_infer.latents.
__path__.append(f"{__path__[0]}/public")

_LATER = {
    "Critic": "gan_infer.models.critic",
    "Generator": "gan_infer.models.generator",
    "Metadata": "gan_infer.modelfile.metadata",
}


def __getattr__(name: str) -> Any:
    """Import what needs numpy when it is first asked for (PEP 562)."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(_LATER[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
