"""What may import what: no circles, no training in the SDK, the runtime in few hands."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

PACKAGES = ["gan_infer", "gan_train"]


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


def modules(package: str) -> dict[str, Path]:
    """Return dotted name -> file of a package's modules, without the package's own name."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT / package).with_suffix("").parts
        found[".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)] = path
    return found


def imported_modules(package: str, module: str, known: dict[str, Path]) -> set[str]:
    """Return the modules of the same package that one imports; of a folder and a file in it, the file."""
    start = f"{package}."
    names = {name.removeprefix(start) for name in imports(known[module]) if name.startswith(start)}
    names &= known.keys()
    folders = {name for name in names if any(other.startswith(f"{name}.") for other in names)}
    own = {name for name in names if module.startswith(f"{name}.")}
    return names - folders - own - {module}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_modules_import_each_other_in_a_circle(package: str) -> None:
    known = modules(package)
    graph = {module: imported_modules(package, module, known) for module in known}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError with the circle's names


def test_a_circle_would_be_found() -> None:
    with pytest.raises(graphlib.CycleError):
        graphlib.TopologicalSorter({"latents": {"errors"}, "errors": {"latents"}}).prepare()


FILES = [(package, path) for package in PACKAGES for path in modules(package).values()]


@pytest.mark.parametrize(
    "path", [path for package, path in FILES if package == "gan_infer"], ids=lambda p: p.stem
)
def test_the_sdk_knows_neither_training_nor_torch(path: Path) -> None:
    tops = {name.split(".")[0] for name in imports(path)}
    assert not tops & {"gan_train", "torch", "onnx", "safetensors", "rich"}


def test_only_session_buckets_and_the_trial_touch_the_runtime() -> None:
    allowed = ("gan_infer/session.py", "gan_infer/buckets.py", "gan_infer/trial/child.py")
    for package, path in FILES:
        if path.relative_to(ROOT).as_posix() in allowed:
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
