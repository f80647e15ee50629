"""Fetches hf://owner/repo[@revision][/file] into the cache.

It needs huggingface_hub (the extra `hub`), imported where it is used, for its login and its connections.
The hub's answers are not trusted: only commits and plain file names become paths, and no more bytes are
stored than the hub said and the limit allows. The cache is the folder `hub` in GANFORGE_HOME, with the
layout of that library; a fetched file is found there when the hub cannot be reached.
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
# Characters that a system forbids in names, that could be decoded once more, or that look like a slash.
_UNSAFE: Final = re.compile(r'[<>:"/\\|?*%\u2044\u2215\u29f8\ufffd]|^[.~ -]|[. ]$')
_RESERVED: Final = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.I)
_MOST_LISTING_BYTES: Final = 16 * 1024**2
_MOST_REDIRECTS: Final = 5
_TIMEOUT_S: Final = 20.0
_AT_ONCE: Final = 1024**2


class _UnreachedError(Exception):
    """The hub was not reached, or its answer was not that of a hub."""


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
    """Parse an address; a slash within a revision is written %2F.

    Raises:
        ModelError: it is not an address.
    """
    match = re.fullmatch(rf"{SCHEME}({_PART})/({_PART})(?:@([^/@]+))?(?:/(.+))?", text)
    if match and len(text) <= _LONGEST_ADDRESS:
        owner, name, revision, file = match[1], match[2], unquote(match[3] or ""), match[4] or ""
        parts = [owner, name, *(revision or "main").split("/"), *(file or "x").split("/")]
        if not any("--" in each for each in (owner, name)) and _are_plain(parts):
            return Address(f"{owner}/{name}", revision, file)
    raise ModelError(
        f"{one_line(text)!r} is no address of a model; "
        "give hf://owner/repository[@revision][/file], of plain names"
    )


def directory() -> Path:
    """Return the folder of fetched files."""
    return files.home() / "hub"


def fetch(text: str, most_bytes: int) -> Path:
    """Fetch the file of an address from the hub or, if the hub cannot be reached, find it in the cache.

    Args:
        text: the address.
        most_bytes: a larger file is refused before it is fetched, or while, if the hub gave a wrong size.

    Raises:
        ModelError: no such repository, revision or file, more than one model and none named, a file
            that is too large or not what the hub said, or no connection and nothing in the cache.
        OptionError: huggingface_hub is not installed, or the cache cannot be written.
    """
    address = parse(text)
    hub = _import_library()
    try:
        return _fetch(hub, address, most_bytes)
    except _UnreachedError as error:
        kept = _find_kept(address)
        if kept is None:
            raise ModelError(
                f"{address} cannot be fetched ({one_line(error, 160)}) and is not in the cache; "
                "try again with a connection, or give the path of a file"
            ) from None
        return kept


def list_fetched() -> dict[str, Path]:
    """Return address -> file of the models in the cache, the newest revision of each."""
    models = {}
    for folder in sorted(directory().glob("models--*--*")):
        _, owner, name = folder.name.split("--", 2)
        for path in _list_models(_find_snapshot(Address(f"{owner}/{name}", "", ""))):
            models[f"{SCHEME}{owner}/{name}/{path.relative_to(_snapshot_root(path)).as_posix()}"] = path
    return models


def _import_library() -> Any:
    try:
        import huggingface_hub.constants
        import huggingface_hub.utils
    except ImportError:
        raise OptionError(
            "addresses like hf://owner/repository need huggingface_hub; "
            "install it with: pip install 'ganforge[hub]'"
        ) from None
    return huggingface_hub


def _fetch(hub: Any, address: Address, most_bytes: int) -> Path:
    commit, sizes = _ask_listing(hub, address)
    name = _choose_file(address, list(sizes))
    size = sizes[name]
    if size is not None and size > most_bytes:
        raise ModelError(
            f"{address} is {size / 1024**2:,.0f} MiB large; "
            f"model files of up to {most_bytes // 1024**2} MiB are taken"
        )
    folder = _folder_of(address)
    target = folder / "snapshots" / commit / name
    if not target.is_file():
        url = f"{hub.constants.ENDPOINT}/{address.repository}/resolve/{commit}/{quote(name)}"
        files.write(target, lambda file: _store(hub, url, address, file, most_bytes, size))
    if address.revision != commit:
        files.write(folder / "refs" / (address.revision or "main"), commit.encode())
    return target


def _ask_listing(hub: Any, address: Address) -> tuple[str, dict[str, int | None]]:
    """Ask the hub for the commit of an address, and its files with their sizes in bytes.

    Raises:
        ModelError: the repository or revision does not exist, or not for this user.
        _UnreachedError: the hub does not answer, or its answer is not a listing.
    """
    at = f"/revision/{quote(address.revision, safe='')}" if address.revision else ""
    url = f"{hub.constants.ENDPOINT}/api/models/{address.repository}{at}?blobs=true"
    body = bytearray()
    for chunk in _chunks(hub, url, address):
        body += chunk
        if len(body) > _MOST_LISTING_BYTES:
            raise _UnreachedError("the hub's listing is too long")
    try:
        answer = strict.read(body.decode())
        commit, siblings = answer["sha"], answer.get("siblings") or []
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
    """Write what the hub sends to a file, and check its size.

    Raises:
        ModelError: it has more bytes than the hub said or than `most_bytes`, or fewer.
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
    """Yield what a GET sends, following redirects; the login is sent to the hub only.

    Raises:
        ModelError: the hub has no such file, or not for this user.
        _UnreachedError: it is not available for any other reason.
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
            with _open(hub, url, headers) as (status, fields, chunks):
                if status in (301, 302, 303, 307, 308) and "location" in fields:
                    url = urljoin(url, fields["location"])
                    continue
                if status != 200:
                    raise _make_error(address, status, fields)
                yield from chunks
                return
        raise _UnreachedError("the hub points from one place to another for ever")
    except (ModelError, _UnreachedError):
        raise
    except Exception as error:  # errors of transports share no base class
        raise _UnreachedError(one_line(error, 160)) from None


@contextlib.contextmanager
def _open(
    hub: Any, url: str, headers: Mapping[str, str]
) -> Iterator[tuple[int, Mapping[str, str], Iterator[bytes]]]:
    """Open a GET; yield its status, its headers, and its body in chunks, not decompressed."""
    if hub.constants.HF_HUB_OFFLINE:
        raise _UnreachedError("HF_HUB_OFFLINE is set")
    session = hub.utils.get_session()
    if hasattr(session, "stream"):  # huggingface_hub 1.0 and later, by httpx
        request = session.stream("GET", url, headers=headers, follow_redirects=False, timeout=_TIMEOUT_S)
        with request as response:
            yield response.status_code, response.headers, response.iter_raw(_AT_ONCE)
    else:
        request = session.get(url, headers=headers, stream=True, allow_redirects=False, timeout=_TIMEOUT_S)
        with request as response:
            chunks = response.raw.stream(_AT_ONCE, decode_content=False)
            yield response.status_code, response.headers, chunks


def _make_error(address: Address, status: int, fields: Mapping[str, str]) -> ModelError | _UnreachedError:
    """Return the error for a status other than 200: what is wrong with the address, or with the hub."""
    code = fields.get("x-error-code", "")
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


def _choose_file(address: Address, names: Sequence[str]) -> str:
    models = [name for name in names if name.lower().endswith(_ENDING)]
    if address.file:
        if address.file in names:
            return address.file
        raise ModelError(f"{address} is no file of that repository; its models are: {_list_names(models)}")
    if len(models) != 1:
        raise ModelError(
            f"{address} holds {len(models)} model files ({_list_names(models)}); "
            f"expected one, or give {SCHEME}{address.repository}/FILE"
        )
    if not _are_plain(models[0].split("/")):
        raise ModelError(f"{address} holds a model file called {models[0][:60]!r}, which is no plain name")
    return models[0]


def _list_names(names: Sequence[str]) -> str:
    first = ", ".join(plain(name)[:60] for name in names[:8]) or "none"
    return first + (", ..." if len(names) > 8 else "")


def _are_plain(parts: Sequence[str]) -> bool:
    """Return whether parts of a path are safe: the same file inside the folder on every system."""
    return len(parts) <= 3 * _MOST_PARTS and all(
        0 < len(part.encode(errors="replace")) <= 128
        and plain(part) == part
        and unicodedata.normalize("NFKC", part) == part
        and not _UNSAFE.search(part)
        and not _RESERVED.fullmatch(part)
        for part in parts
    )


def _folder_of(address: Address) -> Path:
    return directory() / f"models--{address.repository.replace('/', '--')}"


def _find_kept(address: Address) -> Path | None:
    """Find the file of an address in the cache, by the layout that huggingface_hub documents."""
    snapshot = _find_snapshot(address)
    if snapshot is None:
        return None
    if address.file:
        path = snapshot / address.file
        return path if path.is_file() else None
    models = _list_models(snapshot)
    return models[0] if len(models) == 1 else None


def _find_snapshot(address: Address) -> Path | None:
    folder = _folder_of(address)
    revision = address.revision or "main"
    try:
        commit = (folder / "refs" / revision).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        commit = revision
    snapshot = folder / "snapshots" / commit
    return snapshot if re.fullmatch(_COMMIT, commit) and snapshot.is_dir() else None


def _snapshot_root(path: Path) -> Path:
    return next(parent for parent in path.parents if parent.parent.name == "snapshots")


def _list_models(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() == _ENDING and path.is_file())
