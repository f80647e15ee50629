"""From a shipped name, path, folder or hf:// address to a model file's bytes; it does not read them.

The shipped models stand in `catalog.json` beside them with their SHA-256, written by

    python -c "from gan_infer import catalog; catalog.write_checksums()"    # or: make catalog
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

from gan_infer import files
from gan_infer.errors import ModelError

DEFAULT: Final = "digits"
MODEL_FILE: Final = "generator.onnx"
CATALOG_FILE: Final = "catalog.json"
# Larger files are refused before they are read or fetched.
MAX_BYTES: Final = 512 * 1024**2


def find(source: str | os.PathLike[str]) -> Path:
    """Give the file of a model.

    Args:
        source: a path; a shipped name; a folder that holds one .onnx file; or
            hf://owner/repository[@revision][/file], which is fetched and kept.

    Raises:
        ModelError: there is no such file, or more than one.
        OptionError: an hf:// address without huggingface_hub installed.
    """
    name = str(source)
    if name.startswith("hf:"):
        from gan_infer import hub

        return hub.fetch(name, MAX_BYTES)
    path = Path(source)
    if path.is_file():
        return path
    shipped = shipped_models()
    if name in shipped:  # before a folder that happens to have the name
        return shipped[name]
    if path.is_dir():
        return _only_model(path)
    raise ModelError(
        f"no model file {name!r}, and no shipped model of that name; "
        f"give a path, hf://owner/repository, or one of: {', '.join(shipped) or '(none are shipped here)'}"
    )


def read(source: str | os.PathLike[str]) -> tuple[Path, bytes]:
    """Give the file of a model, found as by `find`, and its bytes, of which a shipped one's are checked.

    Raises:
        ModelError: as `find`; or it cannot be read, is too large, or is not what was shipped.
        OptionError: as `find`.
    """
    path = find(source)
    try:
        with path.open("rb") as file:
            body = file.read(MAX_BYTES + 1) if os.fstat(file.fileno()).st_size <= MAX_BYTES else None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}; give a file that you may read") from None
    if body is None or len(body) > MAX_BYTES:
        raise ModelError(f"{path} is too large; model files of up to {MAX_BYTES // 1024**2} MiB are taken")
    if path == shipped_models().get(str(source)):
        check(str(source), body)
    return path, body


def check(name: str, body: bytes) -> None:
    """Compare a shipped model's bytes with the catalog.

    Raises:
        ModelError: they are others, or the catalog lacks the model.
    """
    entry = _catalog().get(name)
    expected = entry.get("sha256") if isinstance(entry, dict) else None
    found = _sha256(body)
    if found != expected:
        raise ModelError(
            f"the shipped model {name!r} is not the one that was shipped (SHA-256 {found[:12]}..., "
            f"catalog {str(expected)[:12]}...); install ganforge again, or in a checkout: make catalog"
        )


def shipped_models() -> dict[str, Path]:
    """Give name -> file of the models that came with this installation, sorted by name."""
    return {file.parent.name: file for file in sorted(_root().glob(f"*/{MODEL_FILE}"))}


def checksums() -> dict[str, dict[str, Any]]:
    """Give what the catalog should say: name -> size in bytes and SHA-256 of every shipped model."""
    bodies = {name: path.read_bytes() for name, path in shipped_models().items()}
    return {name: {"bytes": len(body), "sha256": _sha256(body)} for name, body in bodies.items()}


def write_checksums() -> Path:
    """Write the catalog of the shipped models as they are now; give its path."""
    path = _root() / CATALOG_FILE
    files.write(path, (json.dumps(checksums(), indent=2, sort_keys=True) + "\n").encode())
    return path


def _root() -> Path:
    # In a wheel the models lie inside the package, in a source checkout beside it.
    here = Path(__file__).resolve().parent
    packed = here / "_models"
    return packed if packed.is_dir() else here.parent / "models"


def _catalog() -> dict[str, Any]:
    path = _root() / CATALOG_FILE
    try:
        catalog = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({error}); install ganforge again") from None
    return catalog if isinstance(catalog, dict) else {}


def _only_model(folder: Path) -> Path:
    try:
        models = sorted(
            path for path in folder.iterdir() if path.suffix.lower() == ".onnx" and path.is_file()
        )
    except OSError as error:
        raise ModelError(f"{folder} cannot be read: {error.strerror}; give the path of a file") from None
    if len(models) == 1:
        return models[0]
    found = f"{len(models)} model files ({', '.join(path.name for path in models[:8])})"
    raise ModelError(
        f"{folder} is a directory with {found if models else 'no model file'}; "
        "expected one .onnx file there, or give the path of one"
    )


def _sha256(body: bytes) -> str:
    import hashlib  # loads a library of its own, which `import gan_infer` need not wait for

    return hashlib.sha256(body).hexdigest()
