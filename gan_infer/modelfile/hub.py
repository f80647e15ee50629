"""From hf://owner/repo[@revision][/file] to a file in the cache; it does not open what it fetches.

Needs huggingface_hub (the extra `hub`), imported where it is used, for its login and its connections. What
the hub answers is not trusted: only commits and names of files that are plain names become paths, and no
more is stored than it said and we take. The cache lies in `hub` of GANFORGE_HOME, laid out as that
library's own; what was fetched once is found there when the hub cannot be reached.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import quote, unquote, urljoin, urlsplit

from gan_infer import files
from gan_infer.errors import ModelError, OptionError
from gan_infer.text import strict
from gan_infer.text.escaping import one_line, plain

SCHEME: Final = "hf://"
_ENDING: Final = ".onnx"
_PART: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_COMMIT: Final = r"[0-9a-f]{40}|[0-9a-f]{64}"
_LONGEST_ADDRESS: Final = 1_000
_MOST_PARTS: Final = 8
# What no file may be called on some system, what could be decoded once more, and what looks like a slash.
_UNSAFE: Final = re.compile(r'[<>:"/\\|?*%\u2044\u2215\u29f8\ufffd]|^[.~ -]|[. ]$')
_RESERVED: Final = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.I)
_MOST_LISTING_BYTES: Final = 16 * 1024**2
_MOST_REDIRECTS: Final = 5
_TIMEOUT_S: Final = 20.0
_AT_ONCE: Final = 1024**2


class _UnreachedError(Exception):
    """The hub was not reached, or did not answer as a hub does."""


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
    match = re.fullmatch(rf"{SCHEME}({_PART})/({_PART})(?:@([^/@]+))?(?:/(.+))?", text)
    if match and len(text) <= _LONGEST_ADDRESS:
        owner, name, revision, file = match[1], match[2], unquote(match[3] or ""), match[4] or ""
        parts = [owner, name, *(revision or "main").split("/"), *(file or "x").split("/")]
        if not any("--" in each for each in (owner, name)) and _are_plain(parts):
            return Address(f"{owner}/{name}", revision, file)
    shown = text if len(text) <= 200 else text[:197] + "..."
    raise ModelError(
        f"{shown!r} is no address of a model; give hf://owner/repository[@revision][/file], of plain names"
    )


def directory() -> Path:
    """Return the folder that holds what was fetched."""
    return files.home() / "hub"


def fetch(text: str, most_bytes: int) -> Path:
    """Return the file of an address, from the hub or, where that cannot be reached, from the cache.

    Args:
        text: the address.
        most_bytes: a larger file is refused before it is fetched, and not stored if the hub was wrong.

    Raises:
        ModelError: no such repository, revision or file, more than one model where none is named,
            too large, not what the hub said, or not to be reached and not in the cache.
        OptionError: huggingface_hub is not installed, or the cache cannot be written.
    """
    address = parse(text)
    hub = _library()
    try:
        return _fetched(hub, address, most_bytes)
    except _UnreachedError as error:
        kept = _kept(address)
        if kept is None:
            raise ModelError(
                f"{address} cannot be fetched ({_one_line(error)}) and is not in the cache; "
                "try again with a connection, or give the path of a file"
            ) from None
        return kept


def fetched() -> dict[str, Path]:
    """Return address -> file of the models that lie in the cache, the newest revision of each."""
    found = {}
    for folder in sorted(directory().glob("models--*--*")):
        _, owner, name = folder.name.split("--", 2)
        for path in _models_in(_snapshot(Address(f"{owner}/{name}", "", ""))):
            found[f"{SCHEME}{owner}/{name}/{path.relative_to(_snapshot_root(path)).as_posix()}"] = path
    return found


def _library() -> Any:
    try:
        import huggingface_hub.constants
        import huggingface_hub.utils
    except ImportError:
        raise OptionError(
            "addresses like hf://owner/repository need huggingface_hub; "
            "install it with: pip install 'ganforge[hub]'"
        ) from None
    return huggingface_hub


def _fetched(hub: Any, address: Address, most_bytes: int) -> Path:
    commit, sizes = _listing(hub, address)
    name = _chosen(address, list(sizes))
    size = sizes[name]
    if size is not None and size > most_bytes:
        raise ModelError(
            f"{address} is {size / 1024**2:,.0f} MiB large; "
            f"model files of up to {most_bytes // 1024**2} MiB are taken"
        )
    folder = _folder(address)
    target = folder / "snapshots" / commit / name
    if not target.is_file():
        url = f"{hub.constants.ENDPOINT}/{address.repository}/resolve/{commit}/{quote(name)}"
        files.write(target, lambda file: _store(hub, url, address, file, most_bytes, size))
    if address.revision != commit:
        files.write(folder / "refs" / (address.revision or "main"), commit.encode())
    return target


def _listing(hub: Any, address: Address) -> tuple[str, dict[str, int | None]]:
    """Ask the hub for the commit of an address, and its files with their sizes in bytes.

    Raises:
        ModelError: the repository or revision is not there, or not for this user.
        _UnreachedError: the hub does not answer, or with what is no such listing.
    """
    at = f"/revision/{quote(address.revision, safe='')}" if address.revision else ""
    url = f"{hub.constants.ENDPOINT}/api/models/{address.repository}{at}?blobs=true"
    body = bytearray()
    for chunk in _chunks(hub, url, address):
        body += chunk
        if len(body) > _MOST_LISTING_BYTES:
            raise _UnreachedError("the hub's listing is too long")
    try:
        told = strict.read(body.decode())
        commit, siblings = told["sha"], told.get("siblings") or []
        sizes = {item["rfilename"]: item.get("size") for item in siblings}
        right = (
            re.fullmatch(_COMMIT, commit)
            and all(isinstance(name, str) for name in sizes)
            and all(size is None or (type(size) is int and size >= 0) for size in sizes.values())
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        right = None
    if not right:
        raise _UnreachedError("the hub's answer is no listing of a repository")
    return commit, sizes


def _store(hub: Any, url: str, address: Address, file: BinaryIO, most_bytes: int, size: int | None) -> None:
    """Write what the hub sends to a file, as far as it is what the hub said.

    Raises:
        ModelError: it is more than that or than `most_bytes`, or less.
        _UnreachedError: the connection failed.
    """
    limit = most_bytes if size is None else size
    done = 0
    for chunk in _chunks(hub, url, address):
        done += len(chunk)
        if done > limit:
            raise ModelError(f"{address} is sent with more than the {limit:,} bytes that it may have")
        file.write(chunk)
    if size is not None and done != size:
        raise ModelError(f"{address} broke off after {done:,} of {size:,} bytes; try again")


def _chunks(hub: Any, url: str, address: Address) -> Iterator[bytes]:
    """Return what a GET sends, as it comes, following redirects; the login goes to the hub alone.

    Raises:
        ModelError: the hub has no such thing, or not for this user.
        _UnreachedError: it cannot be had for any other reason.
    """
    home = urlsplit(hub.constants.ENDPOINT)
    try:
        headers = {**hub.utils.build_hf_headers(library_name="ganforge"), "Accept-Encoding": "identity"}
        for _ in range(_MOST_REDIRECTS + 1):
            place = urlsplit(url)
            if place.scheme not in ("https", home.scheme) or not place.hostname:
                raise _UnreachedError(f"the hub points to {url[:100]!r}")
            if (place.scheme, place.netloc) != (home.scheme, home.netloc):
                headers = {name: text for name, text in headers.items() if name.lower() != "authorization"}
            with _answer(hub, url, headers) as (status, told, chunks):
                if status in (301, 302, 303, 307, 308) and "location" in told:
                    url = urljoin(url, told["location"])
                    continue
                if status != 200:
                    raise _refusal(address, status, told)
                yield from chunks
                return
        raise _UnreachedError("the hub points from one place to another for ever")
    except (ModelError, _UnreachedError):
        raise
    except Exception as error:  # those of transports share no base
        raise _UnreachedError(_one_line(error)) from None


@contextlib.contextmanager
def _answer(
    hub: Any, url: str, headers: Mapping[str, str]
) -> Iterator[tuple[int, Mapping[str, str], Iterator[bytes]]]:
    """Open a GET: its status, its headers, and its body as it comes, not decompressed."""
    if hub.constants.HF_HUB_OFFLINE:
        raise _UnreachedError("HF_HUB_OFFLINE is set")
    session = hub.utils.get_session()
    if hasattr(session, "stream"):  # that of huggingface_hub 1.0 and later, by httpx
        opened = session.stream("GET", url, headers=headers, follow_redirects=False, timeout=_TIMEOUT_S)
        with opened as response:
            yield response.status_code, response.headers, response.iter_raw(_AT_ONCE)
    else:
        opened = session.get(url, headers=headers, stream=True, allow_redirects=False, timeout=_TIMEOUT_S)
        with opened as response:
            chunks = response.raw.stream(_AT_ONCE, decode_content=False)
            yield response.status_code, response.headers, chunks


def _refusal(address: Address, status: int, told: Mapping[str, str]) -> ModelError | _UnreachedError:
    """Return the error for an answer other than 200: what is wrong with the address, or with the hub."""
    code = told.get("x-error-code", "")
    if code == "GatedRepo":
        return ModelError(f"{address} wants its terms accepted, on its page, and a login: hf auth login")
    if code == "RevisionNotFound":
        return ModelError(
            f"{address} names a revision that the repository does not have; give a branch, tag or commit"
        )
    if code == "EntryNotFound":
        return ModelError(f"{address} names a file that the repository does not have")
    if code == "RepoNotFound" or status in (401, 403):
        return ModelError(
            f"{address} names no public repository of the hub; see its name, or log in: hf auth login"
        )
    return _UnreachedError(f"the hub answers with status {status}")


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
    if not _are_plain(models[0].split("/")):
        raise ModelError(f"{address} holds a model file called {models[0][:60]!r}, which is no plain name")
    return models[0]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(plain(name)[:60] for name in names[:8]) or "none"
    return shown + (", ..." if len(names) > 8 else "")


def _are_plain(parts: Sequence[str]) -> bool:
    """Return whether parts of a path are names that mean the same file, inside the folder, everywhere."""
    return len(parts) <= 3 * _MOST_PARTS and all(
        0 < len(part.encode(errors="replace")) <= 128
        and plain(part) == part
        and unicodedata.normalize("NFKC", part) == part
        and not _UNSAFE.search(part)
        and not _RESERVED.fullmatch(part)
        for part in parts
    )


def _folder(address: Address) -> Path:
    return directory() / f"models--{address.repository.replace('/', '--')}"


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
    folder = _folder(address)
    revision = address.revision or "main"
    try:
        commit = (folder / "refs" / revision).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        commit = revision
    snapshot = folder / "snapshots" / commit
    return snapshot if re.fullmatch(_COMMIT, commit) and snapshot.is_dir() else None


def _snapshot_root(path: Path) -> Path:
    return next(parent for parent in path.parents if parent.parent.name == "snapshots")


def _models_in(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() == _ENDING and path.is_file())


def _one_line(error: Exception) -> str:
    return one_line(error, 160) or type(error).__name__
