"""Checks this machine for problems, one finding after another, each with the command that fixes it."""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final, Literal

from gan_infer import files
from gan_infer.apps import checking
from gan_infer.errors import GanError
from gan_infer.modelfile import catalog
from gan_infer.modelfile.golden import SAME
from gan_infer.models.generator import Generator
from gan_infer.runtime import cpu_count, devices, session

State = Literal["fine", "note", "problem"]

_WHEELS: Final = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-silicon")
_TRY_S: Final = 120
_LITTLE_ROOM_BYTES: Final = 2**30

# y = x * x, float32 [n]: an ONNX model of operator set 13, small enough to keep here.
TINY_MODEL: Final = (
    b'\x08\x07\x12\x00:7\n\x0e\n\x01x\n\x01x\x12\x01y"\x03Mul\x12\x01tZ\x10\n\x01x\x12\x0b\n\t\x08\x01\x12\x05'
    b"\n\x03\x12\x01nb\x10\n\x01y\x12\x0b\n\t\x08\x01\x12\x05\n\x03\x12\x01nB\x04\n\x00\x10\r"
)


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was checked: its state, what was found, and the command that fixes it, if any."""

    name: str
    state: State
    text: str
    mend: str = ""


def examine() -> Iterator[Finding]:
    """Check everything, quick things first; nothing is changed, but an empty cache folder may be made."""
    yield from _check_versions()
    yield from _check_wheels()
    started: dict[str, str] = {}
    try:
        version, available = session.describe_runtime()
    except Exception as error:  # a broken wheel may raise anything
        yield Finding(
            "runtime", "problem", f"does not import: {error}", "pip install --force-reinstall ganforge"
        )
    else:
        yield _check_import(version)
        started = {provider: try_provider(provider) for provider in available}
        yield from _check_providers(started)
        yield from _check_cuda(started)
    yield from check_cores()
    yield check_cache()
    yield check_trials()
    yield _check_hub()
    for name in catalog.shipped_models():
        yield check_model(name, "cpu")
        if started.get(devices.CUDA) == "":
            yield check_model(name, "cuda")
    if not catalog.shipped_models():
        yield Finding("models", "note", "this installation has none")


def _check_versions() -> Iterator[Finding]:
    yield Finding("ganforge", "fine", _version_of("ganforge") or "in a checkout, not installed")
    system = f"{platform.system()} {platform.machine()}"
    yield Finding("Python", "fine", f"{platform.python_version()} on {system}, {sys.executable}")
    for name in ("numpy", "Pillow", "click"):
        version = _version_of(name)
        state: State = "fine" if version else "problem"
        yield Finding(name, state, version or "missing", "" if version else f"pip install {name.lower()}")


def _check_wheels() -> Iterator[Finding]:
    wheels = _list_wheels()
    listed = ", ".join(f"{name} {version}" for name, version in wheels.items())
    if not wheels:
        yield Finding(
            "runtime wheel", "problem", "none is installed", "pip install --force-reinstall ganforge"
        )
    elif len(wheels) > 1:
        kept = "onnxruntime-gpu" if "onnxruntime-gpu" in wheels else next(iter(wheels))
        yield Finding(
            "runtime wheel",
            "problem",
            f"{listed}: they install into one folder and break each other",
            f"pip uninstall --yes {' '.join(wheels)} && pip install {kept}",
        )
    else:
        yield Finding("runtime wheel", "fine", listed)


def _check_import(version: str) -> Finding:
    wheels = _list_wheels()
    if wheels and version not in wheels.values():
        return Finding(
            "runtime",
            "problem",
            f"imports as {version or 'an unknown version'}, which is not the version of an installed wheel",
            f"pip install --force-reinstall --no-deps {' '.join(wheels)}",
        )
    return Finding("runtime", "fine", f"imports as {version}")


def _list_wheels() -> dict[str, str]:
    """Return name -> version of the runtime's wheels."""
    versions = {name: _version_of(name) for name in _WHEELS}
    return {name: version for name, version in versions.items() if version}


def try_provider(provider: str) -> str:
    """Run a tiny model on a provider, in a process of its own; return why it fails, "" if it works."""
    code = "import sys; from gan_infer.apps import doctor; doctor._run_tiny(sys.argv[1])"
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, provider],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_TRY_S,
            check=False,
            env={**os.environ, "PYTHONPATH": path},
        )
    except subprocess.TimeoutExpired:
        return f"does not start within {_TRY_S} s"
    except OSError as error:
        return f"cannot be tried: {error}"
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if lines:
        return str(json.loads(lines[-1])["why"])
    return f"ends its process with code {done.returncode}"


def _run_tiny(provider: str) -> None:
    """Run the tiny model; if it fails, print why and exit with code 1. For a process of its own."""
    import numpy as np

    try:
        model = session.Session(TINY_MODEL, source="a tiny model", providers=[provider])
        (result,) = model.run(["y"], {"x": np.array([3], np.float32)})
        why = "" if result.tolist() == [9.0] else f"gives {result.tolist()} for 3 * 3"
    except GanError as error:
        why = str(error)
    if why:
        print(json.dumps({"why": why}))
        sys.exit(1)


def _check_providers(started: dict[str, str]) -> Iterator[Finding]:
    for provider, why in started.items():
        # Messages of errors end with what to do; here the finding says that.
        reason = re.sub(r"^device \S+ is not available: |; or use device='cpu'$", "", why)
        short = provider.removesuffix("ExecutionProvider")
        if not why:
            yield Finding(f"provider {short}", "fine", "is listed and runs a model")
        elif provider == devices.CPU:
            yield Finding(
                f"provider {short}",
                "problem",
                f"is listed and {reason}",
                "pip install --force-reinstall ganforge",
            )
        elif provider == devices.CUDA and not devices.driver_obstacle():
            yield Finding(
                f"provider {short}",
                "problem",
                f"is listed but does not start, with an NVIDIA GPU here: {reason}",
                "pip install 'ganforge[cuda]'",
            )
        elif provider == devices.CUDA:
            yield Finding(f"provider {short}", "note", f"is listed but does not start: {reason}")
        else:
            yield Finding(
                f"provider {short}", "note", "is listed but does not start; only providers= would use it"
            )


def _check_cuda(started: dict[str, str]) -> Iterator[Finding]:
    obstacle = devices.driver_obstacle()
    if obstacle:
        yield Finding("NVIDIA driver", "note", f"{obstacle}; the CPU is used")
        return
    yield Finding("NVIDIA driver", "fine", f"sees a device; supports CUDA up to {read_driver_cuda()}")
    if devices.CUDA not in started:
        yield Finding(
            "CUDA",
            "problem",
            f"an NVIDIA GPU is here, but {devices.runtime_version()} does not have CUDA",
            "pip uninstall --yes onnxruntime && pip install 'ganforge[cuda]'",
        )
        return
    missing = [library for library in devices.cuda_libraries() if not can_load(library)]
    if missing and started[devices.CUDA]:
        yield Finding(
            "CUDA libraries", "problem", f"missing: {', '.join(missing)}", "pip install 'ganforge[cuda]'"
        )
    elif missing:
        yield Finding("CUDA libraries", "fine", "found where pip installed them")
    else:
        yield Finding("CUDA libraries", "fine", f"found: {', '.join(devices.cuda_libraries())}")


def read_driver_cuda() -> str:
    """Return the newest CUDA version that the driver supports; the driver must load."""
    driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    version = ctypes.c_int(0)
    driver.cuDriverGetVersion(ctypes.byref(version))
    return f"{version.value // 1000}.{version.value % 1000 // 10}"


def can_load(library: str) -> bool:
    """Return whether this process can load a shared library by its name."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def check_cores() -> Iterator[Finding]:
    """Compare the cores that may be used with those of the host."""
    host, affinity, quota = os.cpu_count() or 1, cpu_count.count_by_affinity(), cpu_count.count_by_cgroup()
    limit = "no limit" if quota is None else f"{quota:g}"
    usable = cpu_count.count_usable()
    text = f"{usable} usable: {host} on the host, {affinity} by affinity, {limit} by control group"
    yield Finding("cores", "fine" if usable == host else "note", text)


def check_cache() -> Finding:
    """Check that the folder in which things are kept can be written to, and has room."""
    mend = "export GANFORGE_HOME=/a/folder/you/may/write/to"
    try:
        home = files.home()
        files.check_writable(home / "probe")
    except GanError as error:
        return Finding("cache", "problem", str(error).split(";", maxsplit=1)[0], mend)
    free = shutil.disk_usage(home).free
    text = f"{home}, {free / 2**30:,.1f} GiB free"
    if free < _LITTLE_ROOM_BYTES:
        return Finding(
            "cache", "note", f"{text}, which is little", "export GANFORGE_HOME=/a/folder/with/room"
        )
    if files.is_temporary(home):
        return Finding("cache", "note", f"{text}; it may be emptied, because there is no home folder", mend)
    return Finding("cache", "fine", text)


def check_trials() -> Finding:
    """Check that unknown model files can be run first in a process with limits."""
    from gan_infer.modelfile.trial import host

    request = host.Request([("x", "<f4", (None,))], ["y"], [], batch=1, grows=True, bytes_alone=8)
    stricter = "model files that are not known are opened within stricter bounds of size"
    try:
        tried = host.run(TINY_MODEL, request, lambda: None)
    except host.CannotTryError as error:
        return Finding("trials", "note", f"are not available: {error}; {stricter}")
    except host.FailedError as error:
        return Finding("trials", "problem", f"of a tiny model: it {error}; no file that is not known opens")
    if not tried.limited:
        return Finding(
            "trials", "note", f"bound time, but this system limits no process's memory; {stricter}"
        )
    return Finding("trials", "fine", f"bound memory and time; {_describe_verdicts()}")


def _describe_verdicts() -> str:
    from gan_infer.modelfile.trial import verdicts

    folder = verdicts.folder()
    try:
        files.check_writable(folder / "probe")
    except GanError as error:
        why = str(error).split(";", maxsplit=1)[0]
        return f"verdicts are kept nowhere, so each process runs its own trials: {why}"
    return f"{sum(1 for _ in folder.glob('*.json')):,} verdicts are kept in {folder}"


def _check_hub() -> Finding:
    version = _version_of("huggingface_hub")
    text = f"huggingface_hub {version}" if version else "hf:// addresses need: pip install 'ganforge[hub]'"
    return Finding("hub", "fine" if version else "note", text)


def check_model(name: str, device: str) -> Finding:
    """Draw a shipped model's golden pictures; if they differ, compare its sheet of samples."""
    title = f"model {name}" + (f" on {device}" if device != "cpu" else "")
    again = "pip install --force-reinstall --no-deps ganforge"
    try:
        generator = Generator.load(name, device=device)
        compared = checking.compare(generator)
        differing = [each.seed for each in compared if each.result != SAME]
        if not differing:
            count = len(compared)
            return Finding(title, "fine", f"checksum and {count} golden pictures are right, byte for byte")
        difference = _compare_sheet(generator, Path(generator.source).with_name("samples.png"))
    except (GanError, OSError) as error:
        return Finding(title, "problem", str(error), again)
    if difference is not None and difference <= 1:
        return Finding(title, "fine", "checksum is right; pixel values are within 1 of 256, as they may be")
    off = "in size" if difference is None else f"by up to {difference} of 256 in value"
    return Finding(
        title, "problem", f"pictures of seeds {differing} are wrong: its sheet differs {off}", again
    )


def _compare_sheet(generator: Generator, sheet: Path) -> int | None:
    """Return the largest difference of a pixel value from a model's sheet; None if the sizes differ."""
    import numpy as np
    from PIL import Image

    drawn = generator.grid()
    with Image.open(sheet, formats=["PNG"]) as image:
        shipped = np.asarray(image)
    shipped = shipped.reshape(*shipped.shape[:2], -1)
    factor = max(1, shipped.shape[0] // drawn.shape[0])
    shipped = shipped[::factor, ::factor]
    if shipped.shape != drawn.shape:
        return None
    return int(abs(shipped.astype(np.int16) - drawn.astype(np.int16)).max())


def _version_of(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
