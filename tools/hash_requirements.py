"""Writes requirements-hashed.txt: what the base install needs, pinned as in constraints.txt, with hashes.

    python tools/hash_requirements.py            # or: make hashes

pip itself resolves the requirements, for each system and Python that is named here, and reports the hash
of every wheel that it would take from the index it is set up with; nothing is downloaded into the
environment. A wheel that is not on the index for a system is left out for that system, with a note.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
TARGET: Final = ROOT / "requirements-hashed.txt"

_GPU: Final = "onnxruntime-gpu"
_CPU: Final = "onnxruntime"
# System -> the tags of its wheels, the runtime's wheel there, and what is needed beside.
SYSTEMS: Final = {
    "Linux x86_64": (
        ["manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64", "manylinux_2_17_x86_64"],
        [_GPU],
    ),
    "Linux aarch64": (
        [
            "manylinux_2_28_aarch64",
            "manylinux_2_27_aarch64",
            "manylinux2014_aarch64",
            "manylinux_2_17_aarch64",
        ],
        [_CPU],
    ),
    "macOS arm64": (
        ["macosx_14_0_arm64", "macosx_13_0_arm64", "macosx_11_0_arm64", "macosx_10_13_universal2"],
        [_CPU],
    ),
    "Windows x86_64": (["win_amd64"], [_GPU, "colorama"]),
}
PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")
_BASE: Final = ("numpy", "pillow", "click")
# As in pyproject.toml: which of the runtime's two wheels goes where.
_ON_GPU: Final = (
    "(sys_platform == 'linux' or sys_platform == 'win32') and "
    "(platform_machine == 'x86_64' or platform_machine == 'AMD64')"
)
_MARKERS: Final = {
    _GPU: _ON_GPU,
    _CPU: (
        "(sys_platform != 'linux' and sys_platform != 'win32') or "
        "(platform_machine != 'x86_64' and platform_machine != 'AMD64')"
    ),
    "colorama": "sys_platform == 'win32'",
}
_HEAD: Final = """\
# What the base install of ganforge needs, pinned as in constraints.txt, with the hashes of the wheels.
#     pip install --require-hashes -r requirements-hashed.txt && pip install --no-deps ganforge
# Made by: make hashes. PyTorch is not in here, nor what needs it: it comes as several wheels of one version,
# whose hashes differ between indexes; for the extra `train` take constraints.txt.
"""

Pins = dict[str, tuple[str, set[str]]]


def main() -> None:
    """Write the file; say on stderr what was found for each system."""
    pins: Pins = {}
    for system, (tags, own) in SYSTEMS.items():
        for python in PYTHONS:
            try:
                report = resolve(tags, python, [*own, *_BASE])
            except subprocess.CalledProcessError as error:
                why = (error.stderr or "").strip().splitlines()[-1:]
                print(f"left out: {system}, Python {python}: {' '.join(why)}", file=sys.stderr)
                continue
            add(pins, report)
            print(f"{system}, Python {python}: {len(report['install'])} wheels", file=sys.stderr)
    TARGET.write_text(written(pins))
    print(TARGET)


def resolve(tags: list[str], python: str, names: list[str]) -> dict[str, Any]:
    """Return pip's report on what it would install for a system.

    Raises:
        CalledProcessError: there is no such set of wheels.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        platforms = [part for tag in tags for part in ("--platform", tag)]
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"),
                *("--report", str(report), "--only-binary=:all:", "--python-version", python, *platforms),
                *("--target", folder, "--constraint", str(ROOT / "constraints.txt"), *names),
            ],
            check=True,
            capture_output=True,
            text=True,
        )
        told: dict[str, Any] = json.loads(report.read_text())
        return told


def add(pins: Pins, report: dict[str, Any]) -> None:
    """Add the wheels of a report to the pins: name -> version and hashes.

    Raises:
        ValueError: two systems get two versions of one package.
    """
    for item in report["install"]:
        name = re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower()
        version, found = pins.setdefault(name, (item["metadata"]["version"], set()))
        if version != item["metadata"]["version"]:
            raise ValueError(f"{name} comes as {version} and as {item['metadata']['version']}; pin it")
        found.add(item["download_info"]["archive_info"]["hashes"]["sha256"])


def written(pins: Pins) -> str:
    """Return the text of the file."""
    lines = [_HEAD]
    for name, (version, found) in sorted(pins.items()):
        marker = f" ; {_MARKERS[name]}" if name in _MARKERS else ""
        hashes = "".join(f" \\\n    --hash=sha256:{digest}" for digest in sorted(found))
        lines.append(f"{name}=={version}{marker}{hashes}\n")
    return "".join(lines)


if __name__ == "__main__":
    main()
