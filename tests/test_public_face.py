"""Tests go through the public face: they neither read nor replace what our packages keep to themselves."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# What others have: Python's frame of a call, and PyTorch's question on which devices Adam can be captured.
OF_OTHERS = {"_getframe", "_get_capturable_supported_devices"}
PRIVATE = re.compile(r"_[A-Za-z]\w*")
PACKAGES = ("gan_infer", "gan_train", "benchmarks", "tests")
PATCHES = {"setattr", "delattr", "getattr", "hasattr", "object"}


def is_own(node: ast.expr) -> bool:
    """Return whether an attribute is one of the test's own class."""
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def private_names(source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, name) of what is reached behind an underscore: by a dot, an import or a patch by name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and not is_own(node.value):
            yield node.lineno, node.attr
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES:
            yield from ((node.lineno, alias.name) for alias in node.names)
            yield from ((node.lineno, part) for part in str(node.module).split("."))
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            texts = (
                [each for each in node.args if isinstance(each, ast.Constant)] if called in PATCHES else []
            )
            for text in texts:
                yield from ((text.lineno, part) for part in str(text.value).split("."))


def found_in(source: str) -> list[tuple[int, str]]:
    return [
        (line, name)
        for line, name in private_names(source)
        if PRIVATE.fullmatch(name) and name not in OF_OTHERS
    ]


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: str(path.relative_to(TESTS)))
def test_tests_reach_behind_no_underscore(path: Path) -> None:
    assert not found_in(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "source",
    [
        "generator._session.run()",
        "generator._batch == 3",
        "from gan_infer.modelfile.catalog import _root",
        "import gan_infer\ngan_infer.modelfile.catalog._root()",
        "monkeypatch.setattr(catalog, '_root', None)",
        "monkeypatch.setattr('gan_infer.modelfile.catalog._root', None)",
        "getattr(generator, '_batch')",
        "monkeypatch.delattr(catalog, '_root')",
    ],
)
def test_each_way_behind_an_underscore_would_be_found(source: str) -> None:
    assert found_in(source)


def test_what_is_a_tests_own_may_have_one() -> None:
    assert not found_in("class Own:\n    def __init__(self) -> None:\n        self._kept = {'_id': 1}\n")
