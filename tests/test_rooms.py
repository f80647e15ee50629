"""Imports go downhill: between the folders of a package, and without a circle inside one."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Lower rooms first; a room is a folder, or a loose file of the package.
ROOMS = {
    "gan_infer": """
        version text errors files arguments runtime decoding display latent conditions provenance outputs
        modelfile models apps public __init__ console commands cli __main__
    """,
    "gan_train": """
        __init__ seeding distributed interruption config networks objectives data tasks runs planning
        metrics reports graphs export latent training commands cli __main__
    """,
}
PACKAGES = sorted(ROOMS)


def modules(package: str) -> dict[str, Path]:
    """Return dotted name -> file of a package's modules, without the package's own name."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT / package).with_suffix("").parts
        found[".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path) -> set[str]:
    """Return the dotted names that a file imports, `from a import b` as both a and a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def imported_modules(package: str, module: str, path: Path) -> set[str]:
    """Return the modules of the same package that a file imports, the most exact names alone."""
    known = modules(package)
    names = {
        name.removeprefix(f"{package}.") for name in imports(path) if name.startswith(f"{package}.")
    } & known.keys()
    parents = {name for name in names if any(other.startswith(f"{name}.") for other in names)}
    return names - {module} - {name for name in parents if module.startswith(f"{name}.")}


def room(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


def uphill(package: str, module: str, targets: set[str]) -> list[str]:
    order = {name: height for height, name in enumerate(ROOMS[package].split())}
    return [name for name in sorted(targets) if order[room(name)] > order[room(module)]]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_room_has_its_place_and_every_place_its_room(package: str) -> None:
    assert sorted(ROOMS[package].split()) == sorted({room(name) for name in modules(package)})


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_downhill_between_rooms(package: str) -> None:
    wrong = {
        module: found
        for module, path in modules(package).items()
        if (found := uphill(package, module, imported_modules(package, module, path)))
    }
    assert not wrong


@pytest.mark.parametrize("package", PACKAGES)
def test_no_modules_import_each_other_in_a_circle(package: str) -> None:
    graph = {module: imported_modules(package, module, path) for module, path in modules(package).items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError with the circle's names


def test_an_uphill_import_would_be_found() -> None:
    assert uphill("gan_infer", "latent.seeds", {"models.generator", "errors"}) == ["models.generator"]
    assert not uphill("gan_infer", "models.generator", {"latent.seeds", "models.base"})


def test_the_sdk_knows_neither_training_nor_torch() -> None:
    for path in modules("gan_infer").values():
        tops = {name.split(".")[0] for name in imports(path)}
        assert not tops & {"gan_train", "torch", "onnx", "safetensors", "rich"}, path


def test_only_session_graphs_and_the_trial_touch_the_runtime() -> None:
    allowed = (
        "gan_infer/runtime/session.py",
        "gan_infer/runtime/cuda_graphs.py",
        "gan_infer/modelfile/trial/child.py",
    )
    for path in (path for package in PACKAGES for path in modules(package).values()):
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
                assert "onnxruntime" not in {alias.name for alias in node.names}, path


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
