"""Finds a model file by shipped name, path, folder or hf:// address, and returns its bytes.

`catalog.json` lists the shipped models with their SHA-256; it is written by

    python -c "from gan_infer import catalog; catalog.write_checksums()"    # or: make catalog
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from gan_infer import files
from gan_infer.errors import ModelError
from gan_infer.text import strict

DEFAULT: Final = "digits"
MODEL_FILE: Final = "generator.onnx"
CATALOG_FILE: Final = "catalog.json"
# The source of a model given as bytes or as an open file.
FROM_BYTES: Final = "<bytes>"
# The name of a model file, or the file itself.
Source = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
# Larger files are refused before they are read or fetched.
MAX_BYTES: Final = 512 * 1024**2


class File(NamedTuple):
    """A model file that was read: its source (a path, or `FROM_BYTES`), its bytes, their SHA-256."""

    source: str
    body: bytes
    sha256: str


def find(source: str | os.PathLike[str]) -> Path:
    """Find the file of a model.

    Args:
        source: a path, where ~ is the user's home; a shipped name; a folder with one .onnx file; or
            hf://owner/repository[@revision][/file], which is fetched and kept.

    Raises:
        ModelError: there is no such file, or more than one.
        OptionError: an hf:// address without huggingface_hub installed.
    """
    name = _check_source(source)
    if name.startswith("hf:"):
        from gan_infer.modelfile import hub

        return hub.fetch(name, MAX_BYTES)
    try:
        path = _expand(name)
        if path.is_file():
            return path
        shipped = shipped_models()
        if name in shipped:  # before a folder that happens to have this name
            return shipped[name]
        if path.is_dir():
            return _find_only_model(path)
    except OSError as error:  # a name that is too long for the system, or a disk that is gone
        raise ModelError(
            f"{_abridge(name)} cannot be read: {error.strerror}; give the path of a file"
        ) from None
    raise ModelError(
        f"no model file {_abridge(name)}, and no shipped model of that name; "
        f"give a path, hf://owner/repository, or one of: {', '.join(shipped) or '(none are shipped here)'}"
    )


def _check_source(source: Any) -> str:
    """Return the text that names a model.

    Raises:
        ModelError: it is neither a text nor a path, or cannot name a file.
    """
    try:
        name = os.fspath(source)
    except TypeError:
        name = None
    if not isinstance(name, str):
        what = type(source).__name__
        raise ModelError(f"a model was given as {what}; give a path, a name, or the bytes of a file")
    if not name:
        raise ModelError("an empty text was given for a model; give a path, or the name of a shipped model")
    if "\0" in name:
        raise ModelError(f"{_abridge(name)} names no model file: it has a NUL character in it; give a path")
    return name


def _expand(name: str) -> Path:
    """Return the path of a text; ~ and ~user are expanded, unless a file has that name."""
    path = Path(name)
    if not name.startswith("~") or path.exists():
        return path
    try:
        return path.expanduser()
    except RuntimeError:
        raise ModelError(f"the home folder of {_abridge(name)} is not known; give the whole path") from None


def _abridge(name: str) -> str:
    return repr(name if len(name) <= 200 else f"{name[:120]}...{name[-60:]}")


def read(source: Source) -> File:
    """Read a model file, found by `find`, or given as bytes or as an open binary file.

    The bytes of a shipped one are checked.

    Raises:
        ModelError: as `find`; or it cannot be read, is too large, or is not what was shipped.
        OptionError: as `find`.
    """
    if not isinstance(source, (str, os.PathLike)):
        body = _read_given(source)
        return File(FROM_BYTES, body, sha256_of(body))
    path = find(source)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1) if os.fstat(file.fileno()).st_size <= MAX_BYTES else None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}; give a file that you may read") from None
    body = _check_size(str(path), content)
    model = File(str(path), body, sha256_of(body))
    if path == shipped_models().get(str(source)):
        check(str(source), model.sha256)
    return model


def _read_given(source: bytes | bytearray | memoryview | BinaryIO) -> bytes:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _check_size(FROM_BYTES, None if memoryview(source).nbytes > MAX_BYTES else bytes(source))
    if not hasattr(source, "read"):
        _check_source(source)
    try:
        body = source.read(MAX_BYTES + 1)
    except (OSError, ValueError, EOFError, TypeError) as error:  # a closed file raises ValueError
        raise ModelError(f"the model file given cannot be read: {error}; give it open for reading") from None
    if not isinstance(body, (bytes, bytearray, memoryview)):
        raise ModelError(f"the model file given reads as {type(body).__name__}; open it in binary mode, 'rb'")
    return _check_size(FROM_BYTES, bytes(body))


def _check_size(source: str, body: bytes | None) -> bytes:
    if body is None or len(body) > MAX_BYTES:
        raise ModelError(f"{source} is too large; model files of up to {MAX_BYTES // 1024**2} MiB are taken")
    return body


def is_shipped(sha256: str) -> bool:
    """Return whether the catalog lists a file of this SHA-256."""
    try:
        return any(
            isinstance(entry, dict) and entry.get("sha256") == sha256 for entry in _read_catalog().values()
        )
    except ModelError:
        return False


def check(name: str, found: str) -> None:
    """Compare the SHA-256 of a shipped model's bytes with the catalog.

    Raises:
        ModelError: they differ, or the catalog lacks the model.
    """
    entry = _read_catalog().get(name)
    expected = entry.get("sha256") if isinstance(entry, dict) else None
    if found != expected:
        raise ModelError(
            f"the shipped model {name!r} is not the one that was shipped (SHA-256 {found[:12]}..., "
            f"catalog {str(expected)[:12]}...); install ganforge again, or in a checkout: make catalog"
        )


def shipped_models() -> dict[str, Path]:
    """Return name -> file of the models in this installation, sorted by name."""
    return {file.parent.name: file for file in sorted(root().glob(f"*/{MODEL_FILE}"))}


def checksums() -> dict[str, dict[str, Any]]:
    """Compute the content of the catalog: name -> size in bytes and SHA-256 of every shipped model."""
    bodies = {name: path.read_bytes() for name, path in shipped_models().items()}
    return {name: {"bytes": len(body), "sha256": sha256_of(body)} for name, body in bodies.items()}


def write_checksums() -> Path:
    """Write the catalog of the shipped models as they are now; return its path."""
    path = root() / CATALOG_FILE
    files.write(path, (json.dumps(checksums(), indent=2, sort_keys=True) + "\n").encode())
    return path


def root() -> Path:
    """Return the folder of the shipped models: inside the package in a wheel, beside it in a checkout."""
    here = Path(__file__).resolve().parents[1]
    packed = here / "_models"
    return packed if packed.is_dir() else here.parent / "models"


def _read_catalog() -> dict[str, Any]:
    path = root() / CATALOG_FILE
    try:
        catalog = strict.read(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({error}); install ganforge again") from None
    return catalog if isinstance(catalog, dict) else {}


def _find_only_model(folder: Path) -> Path:
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


def sha256_of(body: bytes) -> str:
    """Return the SHA-256 of bytes, in hexadecimal."""
    import hashlib  # slow to import

    return hashlib.sha256(body).hexdigest()
