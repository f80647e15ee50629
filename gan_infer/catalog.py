"""From a shipped name or a path to a model file; it does not open what it finds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from gan_infer.errors import ModelError

DEFAULT: Final = "digits"
MODEL_FILE: Final = "generator.onnx"


def find(source: str | os.PathLike[str]) -> Path:
    """Give the file of a model, named by a path or by a shipped name.

    Raises:
        ModelError: there is no such file and no shipped model of that name.
    """
    path = Path(source)
    if path.is_file():
        return path
    shipped = shipped_models()
    if str(source) in shipped:  # before a folder that happens to have the name
        return shipped[str(source)]
    if path.is_dir():
        raise ModelError(f"{path} is a directory; give the path of a model file (.onnx)")
    raise ModelError(
        f"no model file {str(source)!r}, and no shipped model of that name; "
        f"give a path, or one of: {', '.join(shipped) or '(none are shipped here)'}"
    )


def shipped_models() -> dict[str, Path]:
    """Give name -> file of the models that came with this installation, sorted by name."""
    here = Path(__file__).resolve().parent
    # In a wheel the models lie inside the package, in a source checkout beside it.
    for root in (here / "_models", here.parent / "models"):
        found = sorted(root.glob(f"*/{MODEL_FILE}"))
        if found:
            return {file.parent.name: file for file in found}
    return {}
