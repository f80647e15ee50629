"""Imports run downhill only: this is the map of the code, and what holds it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# A file may import from floors below its own, never from its own floor or above.
FLOORS = {
    "gan_infer": [
        ["errors", "cores", "packets", "reading", "version"],
        ["files", "latents", "devices", "buckets", "paths", "mixes", "vet.wire", "decode"],
        ["provenance", "arguments"],
        ["metadata", "images", "session", "hub", "labels", "sheets", "vet.graph"],
        ["catalog", "vet.call", "edits", "animation", "plots"],
        ["vet.arithmetic", "vet.places", "model"],
        ["vet.values"],
        ["vet"],
        ["foreign"],
        ["loading", "space"],
        ["critic"],
        ["choice"],
        ["generator", "signing"],
        ["verification"],
        ["__init__", "doctor"],
        ["console"],
        ["commands", "commands.shared"],
        ["commands.moving"],
        [
            "commands.grid",
            "commands.info",
            "commands.sample",
            "commands.edit",
            "commands.walk",
            "commands.morph",
            "commands.score",
            "commands.verify",
            "commands.models",
            "commands.doctor",
        ],
        ["cli"],
        ["__main__"],
    ],
    "gan_train": [
        [
            "__init__",
            "config",
            "seeding",
            "saying",
            "interruption",
            "journal",
            "processor",
            "distributed",
            "losses",
            "augment",
            "ema",
            "watchdog",
            "metrics",
            "metrics.store",
            "metrics.scores",
            "metrics.split",
            "metrics.network",
            "metrics.distance",
            "metrics.neighbours",
            "attributes",
            "export.mixing",
            "export.factors",
            "export.calibration",
            "export.interpreter",
            "inversion",
        ],
        ["presets", "checkpoint", "networks.normalization", "networks.pyramid"],
        ["networks.condition"],
        ["data.pictures", "data.listing", "data.cache"],
        [
            "networks.mlp",
            "networks.dcgan",
            "networks.resnet",
            "networks.sngan",
            "networks.r3",
            "networks.pixels",
            "data.folder",
            "data.archive",
            "data.npz",
            "data.idx",
            "data.layout",
            "data.labels",
            "data.gather",
            "metrics.classifier",
            "metrics.efficientnet",
            "metrics.inception",
            "metrics.pixels",
            "metrics.randomised",
        ],
        ["metrics.choice", "data.source", "data.held_out", "data.matching"],
        ["metrics.evaluator", "data.report"],
        ["networks", "data", "reports", "reports.status", "reports.charts", "reports.embed"],
        ["reports.sheet", "reports.trackers"],
        ["reports.walk"],
        ["penalties", "reports.html", "reports.live"],
        ["step", "export.graph", "export.half"],
        ["batches", "state"],
        ["machine", "speeds", "trained", "stepper"],
        ["budget", "cost", "export.amend"],
        ["export", "directions", "export.reference"],
        ["recorder", "export.critic", "subjects"],
        ["loop"],
        ["commands", "commands.shared"],
        [
            "commands.fit",
            "commands.data",
            "commands.evaluate",
            "commands.export",
            "commands.presets",
            "commands.directions",
            "commands.invert",
        ],
        ["cli"],
        ["__main__"],
    ],
}


def floor_of(package: str) -> dict[str, int]:
    return {name: height for height, names in enumerate(FLOORS[package]) for name in names}


def module_name(path: Path, package: str) -> str:
    parts = path.relative_to(ROOT / package).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    """Give the dotted names that a file imports, `from a import b` as both a and a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def uphill(package: str, path: Path, found: set[str]) -> list[str]:
    floors = floor_of(package)
    own = module_name(path, package)
    wrong = []
    for name in found:
        target = name.removeprefix(f"{package}.") if name.startswith(f"{package}.") else None
        inside = target == own or own.startswith(f"{target}.")  # a package and its own files
        if target in floors and floors[target] >= floors[own] and not inside:
            wrong.append(f"{own} (floor {floors[own]}) imports {target} (floor {floors[target]})")
    return wrong


FILES = [(package, path) for package in FLOORS for path in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize(("package", "path"), FILES, ids=lambda value: getattr(value, "stem", value))
def test_a_file_imports_from_lower_floors_alone(package: str, path: Path) -> None:
    assert module_name(path, package) in floor_of(package), f"give {path} a floor in FLOORS"
    assert not uphill(package, path, imports(path))


@pytest.mark.parametrize(
    "path", [path for package, path in FILES if package == "gan_infer"], ids=lambda p: p.stem
)
def test_the_sdk_knows_neither_training_nor_torch(path: Path) -> None:
    tops = {name.split(".")[0] for name in imports(path)}
    assert not tops & {"gan_train", "torch", "onnx", "safetensors", "rich"}


def test_an_uphill_import_would_be_found() -> None:
    path = ROOT / "gan_infer" / "latents.py"
    assert uphill("gan_infer", path, {"gan_infer.generator"})
    assert uphill("gan_infer", path, {"gan_infer.files"})
    assert not uphill("gan_infer", path, {"gan_infer.errors"})


def test_only_session_and_buckets_touch_the_runtime() -> None:
    for package, path in FILES:
        if path.relative_to(ROOT).as_posix() in ("gan_infer/session.py", "gan_infer/buckets.py"):
            continue
        tree = ast.parse(path.read_text())
        under_type_checking = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Import) and id(node) not in under_type_checking:
                assert "onnxruntime" not in {alias.name for alias in node.names}, (package, path)


def test_the_sdk_works_where_torch_cannot_be_imported(tmp_path: Path) -> None:
    code = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "onnx", "gan_train", "safetensors", "rich", "onnxscript"}:
            raise ImportError(f"{name} must not be imported")
sys.meta_path.insert(0, Refuse())
import gan_infer, gan_infer.cli
assert "click" in sys.modules
gen = gan_infer.Generator.load("digits", device="cpu")
assert gen.sample(2, label=4, seed=0).shape == (2, 28, 28, 1)
gen.grid(label=4, output="pil")
print("fine")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.stdout == "fine\n", done.stderr


def test_importing_the_sdk_loads_no_runtime_pillow_or_click() -> None:
    code = (
        "import sys; from gan_infer import Critic, Generator\n"
        "print([m for m in ('onnxruntime', 'PIL', 'click') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
