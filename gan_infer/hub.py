"""From hf://owner/repo[@revision][/file] to a file in the cache; it does not open what it fetches.

Needs huggingface_hub (the extra `hub`), imported where it is used. Its cache lies in `hub` of
GANFORGE_HOME; what was fetched once is found there when the hub cannot be reached.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from gan_infer import files
from gan_infer.errors import ModelError, OptionError

SCHEME: Final = "hf://"
_ENDING: Final = ".onnx"
_PART: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"


@dataclasses.dataclass(frozen=True)
class Address:
    """A repository of the hub, a revision ("" for the newest) and a file ("" for its only model)."""

    repository: str
    revision: str
    file: str

    def __str__(self) -> str:
        at = f"@{self.revision}" if self.revision else ""
        return f"{SCHEME}{self.repository}{at}{'/' + self.file if self.file else ''}"


def parse(text: str) -> Address:
    """Read an address; a slash within a revision is written %2F.

    Raises:
        ModelError: it is none.
    """
    match = re.fullmatch(rf"{SCHEME}({_PART}/{_PART})(?:@([^/@]+))?(?:/(.+))?", text)
    if match:
        revision, file = unquote(match[2] or ""), match[3] or ""
        parts = [*revision.split("/"), *file.split("/")]
        if not any(part in (".", "..") for part in parts) and not re.search(r"[\x00-\x1f\\]|//", file):
            return Address(match[1], revision, file)
    raise ModelError(f"{text!r} is no address of a model; give hf://owner/repository[@revision][/file]")


def directory() -> Path:
    """Give the folder that holds what was fetched."""
    return files.home() / "hub"


def fetch(text: str, most_bytes: int) -> Path:
    """Give the file of an address, from the hub or, where that cannot be reached, from the cache.

    Args:
        text: the address.
        most_bytes: a larger file is refused before it is fetched.

    Raises:
        ModelError: no such repository, revision or file, more than one model where none is named,
            too large, or not to be reached and not in the cache.
        OptionError: huggingface_hub is not installed.
    """
    address = parse(text)
    hub = _library()
    try:
        return _fetched(hub, address, most_bytes)
    except ModelError:
        raise
    except Exception as error:  # those of its transport share no base with its own
        obstacle = _obstacle(address, error)
        if obstacle:
            raise ModelError(obstacle) from None
        kept = _kept(address)
        if kept is None:
            raise ModelError(
                f"{address} cannot be fetched ({_one_line(error)}) and is not in the cache; "
                "try again with a connection, or give the path of a file"
            ) from None
        return kept


def fetched() -> dict[str, Path]:
    """Give address -> file of the models that lie in the cache, the newest revision of each."""
    found = {}
    for folder in sorted(directory().glob("models--*--*")):
        _, owner, name = folder.name.split("--", 2)
        for path in _models_in(_snapshot(Address(f"{owner}/{name}", "", ""))):
            found[f"{SCHEME}{owner}/{name}/{path.relative_to(_snapshot_root(path)).as_posix()}"] = path
    return found


def _library() -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise OptionError(
            "addresses like hf://owner/repository need huggingface_hub; "
            "install it with: pip install 'ganforge[hub]'"
        ) from None
    return huggingface_hub


def _fetched(hub: Any, address: Address, most_bytes: int) -> Path:
    revision = address.revision or None
    api = hub.HfApi()
    info = api.model_info(address.repository, revision=revision, files_metadata=True, timeout=20)
    sizes = {item.rfilename: item.size or 0 for item in info.siblings or ()}
    name = _chosen(address, list(sizes))
    if sizes[name] > most_bytes:
        raise ModelError(
            f"{address} is {sizes[name] / 1024**2:,.0f} MiB large; "
            f"model files of up to {most_bytes // 1024**2} MiB are taken"
        )
    return Path(api.hf_hub_download(address.repository, name, revision=revision, cache_dir=str(directory())))


def _chosen(address: Address, names: Sequence[str]) -> str:
    models = [name for name in names if name.lower().endswith(_ENDING)]
    if address.file:
        if address.file in names:
            return address.file
        raise ModelError(f"{address} is no file of that repository; its models are: {_listed(models)}")
    if len(models) != 1:
        raise ModelError(
            f"{address} holds {len(models)} model files ({_listed(models)}); "
            f"expected one, or give {SCHEME}{address.repository}/FILE"
        )
    return models[0]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:8]) or "none"
    return shown + (", ..." if len(names) > 8 else "")


def _obstacle(address: Address, error: Exception) -> str:
    """Say what is wrong with the address itself; "" where the hub was not reached."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return f"{address} wants its terms accepted, on its page, and a login: hf auth login"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{address} names a revision that the repository does not have; give a branch, tag or commit"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"{address} names no public repository of the hub; see its name, or log in: hf auth login"
    if isinstance(error, errors.HFValidationError):
        return f"{address} is no address of a model ({_one_line(error)})"
    return ""


def _kept(address: Address) -> Path | None:
    """Find an address in the cache, by the layout that huggingface_hub documents."""
    snapshot = _snapshot(address)
    if snapshot is None:
        return None
    if address.file:
        path = snapshot / address.file
        return path if path.is_file() else None
    models = _models_in(snapshot)
    return models[0] if len(models) == 1 else None


def _snapshot(address: Address) -> Path | None:
    folder = directory() / f"models--{address.repository.replace('/', '--')}"
    revision = address.revision or "main"
    try:
        commit = (folder / "refs" / revision).read_text(encoding="utf-8").strip()
    except OSError:
        commit = revision
    snapshot = folder / "snapshots" / commit
    return snapshot if re.fullmatch(r"[0-9a-f]{6,64}", commit) and snapshot.is_dir() else None


def _snapshot_root(path: Path) -> Path:
    return next(parent for parent in path.parents if parent.parent.name == "snapshots")


def _models_in(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() == _ENDING and path.is_file())


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else text[:157] + "..."
