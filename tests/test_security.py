"""SECURITY.md keeps its word: each promise names tests that exist; hashed requirements fit the pins."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "SECURITY.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)
PROMISES = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith("| a file")]


def test_each_promise_names_a_test() -> None:
    assert len(PROMISES) >= 8
    for line in PROMISES:
        assert re.search(r"`tests/[\w/]+\.py::test_\w+`", line), line


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_each_named_test_exists(file: str, test: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    assert test in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_the_guide_links_to_it() -> None:
    assert "SECURITY.md" in (ROOT / "docs" / "howto" / "trust.md").read_text()


def requirements() -> dict[str, tuple[str, list[str]]]:
    """Return name -> version and hashes of the hashed requirements."""
    text = (ROOT / "requirements-hashed.txt").read_text()
    found = {}
    for item in re.sub(r"#.*\n", "", text).replace("\\\n", " ").splitlines():
        match = re.fullmatch(r"([a-z0-9-]+)==([\w.]+)( ; [^-]+)?((?: +--hash=sha256:[0-9a-f]{64})+)", item)
        assert match, item
        found[match[1]] = match[2], re.findall(r"sha256:([0-9a-f]{64})", match[4])
    return found


def test_the_hashed_requirements_agree_with_the_constraints() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if "==" in line)
    found = requirements()
    assert {"numpy", "pillow", "click", "onnxruntime", "onnxruntime-gpu", "protobuf"} <= set(found)
    for name, (version, hashes) in found.items():
        assert pinned.get(name, version) == version, name
        assert len(set(hashes)) == len(hashes) >= 1
    assert "torch" not in found


def test_no_address_and_no_path_stands_in_them() -> None:
    for name in ("requirements-hashed.txt", "constraints.txt", "SECURITY.md"):
        text = (ROOT / name).read_text()
        assert not re.search(r"https?:|file:|@[a-z]+\.|/(work|opt|home|root|tmp)/", text), name
