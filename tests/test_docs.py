"""Every snippet of docs/ and of the README's Python runs, in order, page by page, or says why not.

A snippet is a fenced block of python, bash or js. Those of a page share one folder, and its Python one
namespace. A block behind <!-- not run: REASON --> is read for its syntax alone. What trains is shortened,
and our commands run in this process; the slow tests run it as it is printed, by a shell.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gan_infer.cli
import gan_train.cli
from gan_infer import Generator
from gan_infer.latent import seeds

ROOT = Path(__file__).parent.parent
PAGES = sorted(ROOT.glob("docs/**/*.md"))
PROGRAMS = {"gan-train": gan_train.cli.main, "gan-infer": gan_infer.cli.main}
OF_SHELLS = set("|&;<>$`\\*?[]{}~!#")
LANGUAGES = ("python", "bash", "js")
BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<why>[^\n]+) -->\n)?^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.M | re.S
)

# The same commands on fewer pictures and a smaller network, without a judge that is trained as well.
SHORTER = {
    "--images 2048 --width 8": "--images 64 --width 2 --set evaluation.samples=0",
    "--images 512 --width 8": "--images 64 --width 2 --set evaluation.samples=0",
    "evaluate --run runs/photos": "evaluate --run runs/photos --network pixels",
}


@dataclasses.dataclass(frozen=True)
class Snippet:
    line: int
    language: str
    code: str
    not_run: str


def snippets(page: Path) -> Iterator[Snippet]:
    text = page.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("code")) + 1
        yield Snippet(line, match["language"], match["code"], match["why"] or "")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one cache to all pages: what judges digits is trained once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def page_folder(
    tmp_path: Path, photos: Path, others: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Return the folder that a page's snippets run in: `photos`, `others`, and the commands on the path."""
    monkeypatch.setenv("GANFORGE_HOME", str(cache))
    folder = tmp_path / "page"
    for pictures in (photos, others):
        shutil.copytree(pictures, folder / pictures.name)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return folder


def shortened(code: str) -> str:
    for printed, shorter in SHORTER.items():
        code = code.replace(printed, shorter)
    return code


def runs_here(code: str) -> bool:
    """Return whether every line of a block is a command of ours that means the same without a shell."""
    lines = filter(str.strip, code.splitlines())
    return not set(code) & OF_SHELLS and all(line.split(maxsplit=1)[0] in PROGRAMS for line in lines)


def run_here(code: str, place: str) -> str:
    """Run our commands, one a line, in this process; give what they printed."""
    printed, told = io.StringIO(), io.StringIO()
    for line in filter(str.strip, code.splitlines()):
        arguments = shlex.split(line)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (("argv", arguments), ("stdout", printed), ("stderr", told)):
                patch.setattr(sys, name, value)
            with pytest.raises(SystemExit) as end:
                PROGRAMS[arguments[0]]()
        assert end.value.code == 0, f"{place}\n{line}\n{printed.getvalue()}{told.getvalue()}"
    return printed.getvalue()


def run_page(page: Path, names: dict[str, Any], changed: Callable[[str], str] | None = None) -> str:
    """Run a page's snippets in order; give what its commands and scripts printed.

    Args:
        changed: changes commands, which then run in this process where they can; None: all as printed.
    """
    printed = ""
    for snippet in snippets(page):
        place = f"{name(page)}:{snippet.line}"
        if snippet.language == "python":
            code = compile("\n" * snippet.line + snippet.code, str(page), "exec")
            if not snippet.not_run:
                exec(code, names)
        elif snippet.language in LANGUAGES and not snippet.not_run:
            program = ["bash", "-euo", "pipefail", "-c"] if snippet.language == "bash" else ["node", "-e"]
            command = snippet.code if changed is None else changed(snippet.code)
            if changed is not None and snippet.language == "bash" and runs_here(command):
                printed += run_here(command, place)
                continue
            if shutil.which(program[0]) is None:
                continue
            done = subprocess.run([*program, command], capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{place}\n{done.stdout}{done.stderr}"
            printed += done.stdout
    return printed


# The exporter that a page shows warns of its own parts.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("page", [page for page in PAGES if list(snippets(page))], ids=name)
def test_snippets_run(page: Path, page_folder: Path) -> None:
    printed = run_page(page, {"__name__": "snippet"}, shortened)
    if page.name == "javascript.md" and shutil.which("node"):
        expected = seeds.latents([7], 64)[0]
        assert np.allclose(json.loads(printed), expected, rtol=2e-7, atol=0)


LONG = [page for page in PAGES if any(shortened(snippet.code) != snippet.code for snippet in snippets(page))]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("page", LONG, ids=name)
def test_snippets_run_as_printed(page: Path, page_folder: Path) -> None:
    run_page(page, {"__name__": "snippet"})


def test_what_is_shortened_is_printed() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert all(printed in text for printed in SHORTER)


def test_every_language_is_known_and_every_reason_stands_before_a_block() -> None:
    for page in PAGES:
        assert {snippet.language for snippet in snippets(page)} <= {*LANGUAGES, "csharp", "json", "text", ""}
        told = page.read_text(encoding="utf-8").count("<!-- not run:")
        assert told == sum(bool(snippet.not_run) for snippet in snippets(page)), name(page)


README = [snippet for snippet in snippets(ROOT / "README.md") if snippet.language == "python"]


def test_the_readmes_python_runs(page_folder: Path, critic_file: Any, model_file: Any) -> None:
    """Its names are those of an app that has loaded a few things; nothing of 100,000 pictures is drawn."""
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

    from tests.conftest import CONDITIONAL

    assert ProcessPoolExecutor
    shutil.copy(Generator.load("digits", device="cpu").source, "gen.onnx")
    shutil.copy(critic_file(CONDITIONAL), "critic.onnx")
    for file in ("a.png", "b.jpg"):
        Generator.load("digits", device="cpu").sample(1, label=4, seed=1, output="pil")[0].save(file)
    names: dict[str, Any] = {"__name__": "snippet", "ProcessPoolExecutor": ThreadPoolExecutor}
    exec("import asyncio", names)
    for snippet in README:
        code = snippet.code.replace("100_000", "100")
        if "critic" in code:  # the critic at hand is of another generator's classes
            code = "\n".join(line for line in code.splitlines() if "best_of" not in line)
        exec(compile("\n" * snippet.line + code, "README.md", "exec"), names)


def test_the_site_builds(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    build = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",  # with --quiet it would pass over all warnings
        "--site-dir",
        str(tmp_path / "site"),
    ]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(build, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    reference = (tmp_path / "site" / "reference" / "python" / "index.html").read_text(encoding="utf-8")
    for member in ("sample", "interpolate", "edit", "provenance", "close"):
        assert f'id="gan_infer.Generator.{member}"' in reference
    commands = (tmp_path / "site" / "reference" / "commands" / "index.html").read_text(encoding="utf-8")
    for command in ("infer-verify", "infer-morph", "infer-doctor", "train-evaluate", "train-data-check"):
        assert f'id="gan-{command}"' in commands
    assert "a706dd2f4d197e6f" in (tmp_path / "site" / "specification" / "index.html").read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize("seed", [0])
def test_the_specifications_vectors_are_the_real_ones(seed: int) -> None:
    text = (ROOT / "docs" / "specification.md").read_text(encoding="utf-8")
    file = ROOT / "tests" / "gan_infer" / "latent" / "latent_vectors.json"
    vectors = json.loads(file.read_text())["vectors"]
    vector = next(vector for vector in vectors if vector["seed"] == str(seed))
    for index in range(4):
        row = (
            f"| {index} | {vector['words'][index]} | {vector['normal'][index]} | {vector['uniform'][index]} |"
        )
        assert row in text
