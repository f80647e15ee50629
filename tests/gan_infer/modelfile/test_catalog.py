from __future__ import annotations

import contextlib
import importlib
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from PIL import Image

from gan_infer import Generator, ModelError, OptionError, cli
from gan_infer.modelfile import catalog, hub
from tests import hostile
from tests.conftest import CommandLine

MODEL = hostile.base().SerializeToString()
COMMIT, OLDER = "0123456789abcdef" * 2 + "01234567", "f" * 40


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "one").mkdir()
    path = tmp_path / "one" / "gen.ONNX"
    path.write_bytes(MODEL)
    (tmp_path / "one" / "notes.txt").write_text("")
    return path


def test_a_folder_with_one_model_stands_for_it(model: Path) -> None:
    assert catalog.find(model.parent) == model
    assert Generator.load(model.parent, device="cpu").name == "base"
    (model.parent / "second.onnx").write_bytes(MODEL)
    with pytest.raises(ModelError, match=r"2 model files \(gen.ONNX, second.onnx\)"):
        catalog.find(model.parent)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model file"):
        catalog.find(tmp_path)


def test_the_catalog_says_what_is_shipped() -> None:
    kept = json.loads((catalog.root() / catalog.CATALOG_FILE).read_text())
    assert kept == catalog.checksums(), "after a change of a shipped model: make catalog"
    assert set(kept) == set(catalog.shipped_models())


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of a shipped model `mine`, in a catalog of its own."""
    path = tmp_path / "models" / "mine" / catalog.MODEL_FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(MODEL)
    monkeypatch.setattr(catalog, "root", lambda: tmp_path / "models")
    catalog.write_checksums()
    return path


def test_a_shipped_model_that_was_changed_is_refused(shipped: Path) -> None:
    assert Generator.load("mine", device="cpu").name == "base"
    body = bytearray(MODEL)
    body[-1] ^= 1
    shipped.write_bytes(bytes(body))
    with pytest.raises(ModelError, match="is not the one that was shipped"):
        Generator.load("mine")
    assert catalog.read(shipped)[1] == bytes(body)  # by its path it is anybody's file


@pytest.mark.parametrize("text", [None, "", "{}", "[]", '{"mine": 3}', '{"mine": {}}'])
def test_a_catalog_that_lacks_the_model_trusts_nothing(shipped: Path, text: str | None) -> None:
    kept = shipped.parent.parent / catalog.CATALOG_FILE
    kept.unlink() if text is None else kept.write_text(text)
    with pytest.raises(ModelError):
        Generator.load("mine")


# The hub.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hf://ann/digits", ("ann/digits", "", "")),
        ("hf://ann/digits@v1.0", ("ann/digits", "v1.0", "")),
        ("hf://ann/digits/a/b.onnx", ("ann/digits", "", "a/b.onnx")),
        ("hf://ann/digits@refs%2Fpr%2F3/a.onnx", ("ann/digits", "refs/pr/3", "a.onnx")),
    ],
)
def test_addresses_have_an_owner_a_repository_a_revision_and_a_file(
    text: str, expected: tuple[str, str, str]
) -> None:
    address = hub.parse(text)
    assert (address.repository, address.revision, address.file) == expected


@pytest.mark.parametrize(
    "text",
    [
        "hf:",
        "hf://",
        "hf://ann",
        "hf://ann/",
        "hf:ann/digits",
        "hf:///digits",
        "hf://../digits",
        "hf://ann/digits/../../x.onnx",
        "hf://ann/digits/a//b.onnx",
        "hf://ann/digits@/x",
        "hf://ann/digits@..",
        "hf://ann/digits@a%2F..%2Fb",
        "hf://ann/digits/a\\b",
        "hf://ann/digits/\n",
        "hf://ann/digits@%00",
        "hf://ann/digits@%2Ftmp%2Fx",
        "hf://ann/digits@..%5C..%5Cx",
        "hf://ann/digits@a%5Cb",
        "hf://ann/digits@C%3A%2Fx",
        "hf://ann/digits@C:",
        "hf://ann/digits@%252e%252e",
        "hf://ann/digits@%",
        "hf://ann/digits@%FF",
        "hf://ann/digits@%0A",
        "hf://ann/digits@ x",
        "hf://ann/digits@x.",
        "hf://ann/digits@nul",
        "hf://ann/digits@\uff0e\uff0e",
        "hf://ann/digits@a\u2215b",
        "hf://ann/digits@x\u202ey",
        "hf://ann/digits@~root",
        "hf://ann/digits@" + "x" * 300,
        "hf://ann/digits@" + "a%2F" * 40 + "b",
        "hf://ann/digits/" + "d/" * 40 + "x.onnx",
        "hf://ann/digits/" + "x" * 5000,
        "hf://ann/digits/con.onnx",
        "hf://ann/digits/a/LPT1.onnx",
        "hf://ann/digits/com\u00b9.onnx",
        "hf://ann/digits/C:x.onnx",
        "hf://ann/digits/x.onnx:stream",
        "hf://ann/digits/%2e%2e/x.onnx",
        "hf://ann/digits/.hidden.onnx",
        "hf://ann/digits/x.onnx ",
        "hf://ann/digits/\x00.onnx",
        "hf://ann/digits/\ud800.onnx",
        "hf://ann/digits/cafe\u0301.onnx",
        "hf://nul/digits",
        "hf://ann/aux.x",
        "hf://ann/a--b",
        "hf://a--b/c",
        "hf://ann/digits.",
        "hf://\u0430nn/digits",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match=r"is no address of a model|has a NUL character") as caught:
        catalog.find(text)
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(OptionError, match=r"pip install 'ganforge\[hub\]'"):
        Generator.load("hf://ann/digits")


class Hub(ThreadingHTTPServer):
    """A hub on the loopback device: {repository: {revision: {file: body}}}."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, dict[str, dict[str, bytes]]] = {}
        self.asked: list[str] = []
        self.claimed: int | None = None  # a size to claim for every file
        self.commit: object = COMMIT  # to claim for "main"
        self.etag = ""
        self.listing: bytes | None = None  # sent instead of any repository's
        self.points_to: str | None = None  # where files are said to lie
        self.endless = False  # sends a body without an end
        self.sent = 0
        self.authorised: list[bool] = []  # of each file asked for


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(f"{self.command} {path}")
        if self.server.listing is not None and path.startswith("/api/models/"):
            return self._send(self.server.listing, "application/json")
        for name, revisions in self.server.repositories.items():
            if path == f"/api/models/{name}" or path.startswith(f"/api/models/{name}/revision/"):
                revision = path.partition("/revision/")[2] or "main"
                files = revisions.get(revision)
                if files is None:
                    return self._fail("RevisionNotFound")
                siblings = [
                    {"rfilename": file, "size": self.server.claimed or len(body)}
                    for file, body in files.items()
                ]
                commit = self.server.commit if revision == "main" else OLDER
                return self._send(
                    json.dumps({"_id": "1", "id": name, "sha": commit, "siblings": siblings}).encode(),
                    "application/json",
                )
            if path.startswith(f"/{name}/resolve/"):
                commit, _, file = path.removeprefix(f"/{name}/resolve/").partition("/")
                self.server.authorised.append("Authorization" in self.headers)
                if self.server.points_to is not None:
                    return self._point(self.server.points_to)
                return self._send(revisions[{COMMIT: "main", OLDER: "v1"}[commit]][file], "model/onnx")
        return self._fail("RepoNotFound")

    def _send(self, body: bytes, kind: str) -> None:
        endless = self.server.endless and kind == "model/onnx"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        if not endless:
            self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", self.server.etag or f'"{hash(body) & 0xFFFFFFFF:040x}"')
        self.end_headers()
        self.wfile.write(body)
        with contextlib.suppress(OSError):
            while endless and self.server.sent < 64 * 1024**2:
                self.server.sent += self.wfile.write(bytes(2**16))

    def _point(self, place: str) -> None:
        self.send_response(302)
        self.send_header("Location", place)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _fail(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    pytest.importorskip("huggingface_hub")
    return importlib.import_module("huggingface_hub.constants")


def point_to(endpoint: str, library: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do what HF_ENDPOINT does, which is read once, when the library is imported."""
    monkeypatch.setattr(library, "ENDPOINT", endpoint)
    template = f"{endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(library, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture
def server(library: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub() as server:
        server.repositories["ann/digits"] = {
            "main": {"README.md": b"hello", "gen.onnx": MODEL},
            "v1": {"old/gen.onnx": MODEL, "other.onnx": b"not a model"},
        }
        endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        point_to(endpoint, library, monkeypatch)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_repositorys_only_model_is_fetched_once_and_kept(
    server: Hub, library: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    generator = Generator.load("hf://ann/digits", device="cpu")
    assert generator.name == "base"
    assert Path(generator.source).is_relative_to(tmp_path / "ganforge-home" / "hub")
    fetched = [line for line in server.asked if line.startswith("GET /ann/digits/resolve/")]
    assert len(fetched) == 1
    again = Generator.load("hf://ann/digits/gen.onnx", device="cpu")
    assert again.source == generator.source
    assert len([line for line in server.asked if line.startswith("GET /ann/digits/resolve/")]) == 1
    assert hub.list_fetched() == {"hf://ann/digits/gen.onnx": Path(generator.source)}
    # Without a connection what was fetched is still there, and nothing else.
    point_to("http://127.0.0.1:9", library, monkeypatch)  # where nobody listens
    assert catalog.find("hf://ann/digits") == Path(generator.source)
    assert catalog.find("hf://ann/digits/gen.onnx") == Path(generator.source)
    assert catalog.find(f"hf://ann/digits@{COMMIT}") == Path(generator.source)
    for missing in ("hf://ann/digits/other.onnx", "hf://ann/digits@v1", "hf://ann/faces"):
        with pytest.raises(ModelError, match=r"cannot be fetched .* not in the cache") as caught:
            catalog.find(missing)
        assert len(str(caught.value).splitlines()) == 1


def test_a_revision_and_a_file_are_taken_as_named(server: Hub) -> None:
    path = catalog.find("hf://ann/digits@v1/old/gen.onnx")
    assert path.read_bytes() == MODEL
    with pytest.raises(ModelError, match=r"2 model files \(old/gen.onnx, other.onnx\)"):
        catalog.find("hf://ann/digits@v1")
    with pytest.raises(ModelError, match="is refused unopened"):
        Generator.load("hf://ann/digits@v1/other.onnx")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("hf://ann/faces", "names no public repository"),
        ("hf://ann/digits@v9", "names a revision that the repository does not have"),
        ("hf://ann/digits/gone.onnx", "is no file of that repository; its models are: gen.onnx"),
        ("hf://ann/a--b", "is no address of a model"),
    ],
)
def test_what_the_hub_does_not_have_is_said_in_one_line(server: Hub, address: str, said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        Generator.load(address)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_too_large_is_not_fetched(server: Hub) -> None:
    server.claimed = catalog.MAX_BYTES + 1
    with pytest.raises(ModelError, match="512 MiB are taken"):
        Generator.load("hf://ann/digits")
    assert not [line for line in server.asked if "/resolve/" in line]


def stored(folder: Path) -> set[str]:
    """Return the files below a folder, but for the library's own."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in paths if path.parts[0] != "hf"}


def test_of_an_endless_file_no_more_is_stored_than_was_said(server: Hub, tmp_path: Path) -> None:
    server.endless = True
    with pytest.raises(ModelError, match=f"more than the {len(MODEL):,} bytes"):
        catalog.find("hf://ann/digits")
    assert server.sent < 16 * 1024**2
    assert stored(tmp_path) == set()


def test_a_file_that_breaks_off_is_not_kept(server: Hub, tmp_path: Path) -> None:
    server.claimed = len(MODEL) + 1
    with pytest.raises(ModelError, match=f"broke off after {len(MODEL):,} of {len(MODEL) + 1:,} bytes"):
        catalog.find("hf://ann/digits")
    assert stored(tmp_path) == set()


@pytest.mark.parametrize(
    "commit", ["../../../x", "/tmp/x", "", "main", "a" * 39, "A" * 40, "0" * 40 + "\n", None, 3, ["x"]]
)
def test_a_commit_that_is_none_becomes_no_path(server: Hub, tmp_path: Path, commit: object) -> None:
    server.commit = commit
    with pytest.raises(ModelError, match="answer is no listing"):
        catalog.find("hf://ann/digits")
    assert stored(tmp_path) == set()


@pytest.mark.parametrize("etag", ["../../../../x", "/tmp/x", '"..%2f..%2fx"', "x" * 5000])
def test_no_header_becomes_a_path(server: Hub, tmp_path: Path, etag: str) -> None:
    server.etag = etag
    assert catalog.find("hf://ann/digits").read_bytes() == MODEL
    home = "ganforge-home/hub/models--ann--digits"
    assert stored(tmp_path) == {f"{home}/snapshots/{COMMIT}/gen.onnx", f"{home}/refs/main"}


@pytest.mark.parametrize(
    "name",
    [
        *(
            "../x.onnx",
            "/tmp/x.onnx",
            "a/../../x.onnx",
            "a\\..\\x.onnx",
            "C:x.onnx",
            "nul.onnx",
            "%2e%2e/x.onnx",
        ),
        *("x\u202e.onnx", "\x1b[2J.onnx", "a//b.onnx", "d/" * 30 + "x.onnx", "x" * 300 + ".onnx", ".x.onnx"),
    ],
)
def test_a_repositorys_file_of_another_than_a_plain_name_is_refused(
    server: Hub, tmp_path: Path, name: str
) -> None:
    server.repositories["ann/digits"]["main"] = {name: MODEL}
    with pytest.raises(ModelError, match="no plain name") as caught:
        catalog.find("hf://ann/digits")
    assert str(caught.value).isprintable()
    assert stored(tmp_path) == set()


def test_a_listing_that_is_none_counts_as_not_reached(server: Hub) -> None:
    path = catalog.find("hf://ann/digits")
    for body in (b"", b"[]", b'{"sha": "x", "sha": "y"}', b"\xff", b"[" * 10_000, b'{"sha": NaN}'):
        server.listing = body
        assert catalog.find("hf://ann/digits") == path
        with pytest.raises(ModelError, match=r"no listing of a repository.*not in the cache"):
            catalog.find("hf://ann/faces")
    server.listing = bytes(17 * 2**20)
    with pytest.raises(ModelError, match="listing is too long"):
        catalog.find("hf://ann/faces")


def test_files_may_lie_elsewhere_and_the_login_stays_with_the_hub(
    server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with Hub() as other:
        other.repositories["x/y"] = {"main": {"z": MODEL}}
        thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        server.points_to = f"http://127.0.0.1:{other.server_address[1]}/x/y/resolve/{COMMIT}/z"
        try:
            assert catalog.find("hf://ann/digits").read_bytes() == MODEL
        finally:
            other.shutdown()
            thread.join()
    assert (server.authorised, other.authorised) == ([True], [False])


@pytest.mark.parametrize(
    "place",
    ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "http://", f"/ann/digits/resolve/{COMMIT}/x"],
)
def test_redirects_lead_to_no_other_scheme_and_not_in_a_ring(server: Hub, tmp_path: Path, place: str) -> None:
    server.points_to = place
    with pytest.raises(ModelError, match=r"the hub points (to|from)"):
        catalog.find("hf://ann/digits")
    assert len(server.authorised) <= 6
    assert stored(tmp_path) == set()


def test_offline_mode_is_one_line_too(
    server: Hub, library: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = catalog.find("hf://ann/digits")
    monkeypatch.setattr(library, "HF_HUB_OFFLINE", True)
    assert catalog.find("hf://ann/digits") == path
    with pytest.raises(ModelError, match="not in the cache"):
        catalog.find("hf://ann/faces")


# The listing.


def test_models_lists_names_sizes_shapes_classes_and_licences(command_line: CommandLine) -> None:
    run = command_line("gan-infer", cli.main)
    code, out, err = run("models")
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == len(catalog.shipped_models())
    assert "digits" in out
    assert "28x28x1" in out
    assert "CC BY-SA 3.0" in out
    code, out, _ = run("models", "--json")
    first = {model["name"]: model for model in json.loads(out)}["digits"]
    assert code == 0
    assert first["bytes"] == catalog.shipped_models()["digits"].stat().st_size
    assert first["classes"] == list("0123456789")
    assert first["folder"] == str(catalog.shipped_models()["digits"].parent)


def test_models_writes_a_sheet_with_a_strip_a_model(command_line: CommandLine, shipped: Path) -> None:
    shutil.copytree(shipped.parent, shipped.parent.parent / "other")
    (shipped.parent.parent / "torn").mkdir()
    (shipped.parent.parent / "torn" / catalog.MODEL_FILE).write_bytes(MODEL[:100])
    catalog.write_checksums()
    run = command_line("gan-infer", cli.main)
    code, out, _ = run("models", "--to", "models.png")
    assert code == 0
    assert out.splitlines()[-1] == "models.png"
    assert "refused unopened" in out.splitlines()[2]
    with Image.open("models.png") as image:
        sheet = np.asarray(image)
    half = len(sheet) // 2
    assert np.array_equal(sheet[20:half], sheet[half + 20 :])  # the same pictures under two names
    expected = Generator.load("mine", device="cpu").sample(1, seed=0)[0, :, :, 0]
    assert np.array_equal(sheet[22 + 5 : 22 + 66 : 11, 4 + 5 : 4 + 66 : 11, 0], expected)


def test_models_tells_a_bad_name_before_the_work(command_line: CommandLine) -> None:
    run = command_line("gan-infer", cli.main)
    code, out, err = run("models", "--to", "models.txt")
    assert (code, out) == (1, "")
    assert ".png" in err
