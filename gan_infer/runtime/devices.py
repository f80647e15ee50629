"""From a device's name to the runtime's providers, and what is missing where one cannot be had.

It never imports the runtime: what the runtime offers is handed in.
"""

from __future__ import annotations

import ctypes
import dataclasses
import importlib.util
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gan_infer.errors import DeviceError, OptionError
from gan_infer.text.escaping import abridge

Providers = Sequence[str | tuple[str, Mapping[str, Any]]]

CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"
COREML: Final = "CoreMLExecutionProvider"
DML: Final = "DmlExecutionProvider"

# Every provider that a runtime may have been built with; what is not here is a mistake in writing.
_ALL: Final = (
    *("NvTensorRTRTX", "Tensorrt", "CUDA", "MIGraphX", "OpenVINO", "Dnnl", "VitisAI", "QNN", "Nnapi"),
    *("VSINPU", "Js", "WebNN", "WebGpu", "CoreML", "ArmNN", "ACL", "Dml", "ROCM", "Rknpu", "Xnnpack"),
    *("CANN", "Azure", "CPU"),
)
_ENDING: Final = "ExecutionProvider"
_ASKED: Final = re.compile(r"(auto|cpu|coreml)|(cuda|dml)(?::([0-9]{1,3}))?")
# Parity with the CPU asks for whole float32 products; searching cuDNN's algorithms by trial takes
# minutes; an arena that grows by what is asked for does not double what a large batch once took.
_CUDA_OPTIONS: Final = {
    "use_tf32": "0",
    "cudnn_conv_algo_search": "HEURISTIC",
    "arena_extend_strategy": "kSameAsRequested",
}


@dataclasses.dataclass(frozen=True)
class Choice:
    """Providers to ask the runtime for, in order; the one that must be there, or None for any.

    `note` says why `auto` left out a GPU that the runtime was built for, or which providers of a
    list are not in the runtime; "" where nothing was left out.
    """

    providers: tuple[str | tuple[str, Mapping[str, Any]], ...]
    wanted: str | None
    note: str = ""


def choose(device: str, providers: Providers | None, available: Sequence[str]) -> Choice:
    """Return the providers for a device's name, or those that `providers` names in its place.

    Args:
        device: "auto", "cpu", "cuda", "cuda:1", "coreml", "dml" or "dml:1".
        providers: the runtime's own list, which goes before `device`; or None. Where the CPU is in
            it, what cannot be had is left out, as the runtime does; else the first has to be there.
        available: the providers that the installed runtime was built with.

    Raises:
        DeviceError: the device or provider is not in this runtime, or its driver is missing.
        OptionError: `device` is none that there is, or `providers` is no list of providers.
    """
    if providers is not None:
        return _given(providers, available)
    match = _ASKED.fullmatch(device) if isinstance(device, str) else None
    if not match:
        raise OptionError(
            f"device {abridge(device)} is unknown; give 'auto', 'cpu', 'cuda', 'cuda:1', 'coreml' or 'dml'"
        )
    plain, kind, index = match.groups()
    if plain == "cpu":
        return Choice((CPU,), CPU)
    if plain == "auto":
        return _automatic(available)
    if plain == "coreml":
        return _of_the_runtime(COREML, {}, available, "onnxruntime on macOS has it")
    if kind == "dml":
        options = {"device_id": index or "0"}
        return _of_the_runtime(DML, options, available, "onnxruntime-directml on Windows has it")
    if CUDA not in available:
        raise DeviceError(lacking(CUDA, _no_cuda_build()))
    if obstacle := driver_obstacle(int(index or 0)):
        raise DeviceError(lacking(CUDA, obstacle, index))
    return Choice((_cuda(str(int(index or 0))), CPU), CUDA)


def lacking(provider: str, reason: str, index: str | None = None) -> str:
    """Return the line that says that a provider cannot be had, why, and what would do instead."""
    asked = {CUDA: "cuda", COREML: "coreml", DML: "dml"}.get(provider, provider)
    asked += f":{index}" if index else ""
    return f"device {asked!r} cannot be had: {reason}; or use device='cpu'"


def runtime_version() -> str:
    """Return the runtime's wheel and version, for example "onnxruntime-gpu 1.31.1"."""
    import importlib.metadata  # costs as much to import as Pillow, and is needed rarely

    for wheel in ("onnxruntime-gpu", "onnxruntime", "onnxruntime-directml"):
        try:
            return f"{wheel} {importlib.metadata.version(wheel)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    return "onnxruntime of an unknown version"


def driver_obstacle(index: int = 0) -> str:
    """Say what of NVIDIA's driver is missing here; "" where it loads and sees device `index`."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return f"the NVIDIA driver's library {name} is missing; install NVIDIA's driver"
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return "the NVIDIA driver does not start here; see what nvidia-smi says"
    if count.value == 0:
        return "the NVIDIA driver sees no device; see what nvidia-smi says"
    if index >= count.value:
        return f"there is no device {index}: the NVIDIA driver sees {count.value}, counted from 0"
    return ""


def cuda_obstacle() -> str:
    """Say what keeps the CUDA provider from starting, as far as can be told from outside."""
    if obstacle := driver_obstacle():
        return obstacle
    for library in cuda_libraries():
        try:
            ctypes.CDLL(library)
        except OSError:
            return f"the library {library} is missing; install it with: pip install 'ganforge[cuda]'"
    return "CUDA's libraries load but the runtime's provider does not start; see its log above"


def cuda_libraries() -> tuple[str, ...]:
    """Name the libraries that the installed runtime's CUDA provider needs, of the major it was built for."""
    major = _cuda_major()
    if sys.platform == "win32":
        return (f"cudart64_{major}.dll", f"cublasLt64_{major}.dll", f"cublas64_{major}.dll", "cudnn64_9.dll")
    return (
        f"libcudart.so.{major}",
        f"libcublasLt.so.{major}",
        f"libcublas.so.{major}",
        "libcurand.so.10",
        "libcudnn.so.9",
    )


def _cuda_major() -> int:
    """Read which CUDA the runtime was built for out of its wheel, without importing it."""
    spec = importlib.util.find_spec("onnxruntime")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        try:
            text = Path(folder, "capi", "build_and_package_info.py").read_text(encoding="utf-8")
        except OSError:
            continue
        if match := re.search(r"cuda_version\s*=\s*['\"](\d+)", text):
            return int(match[1])
    return 12


def _given(providers: Providers, available: Sequence[str]) -> Choice:
    if not isinstance(providers, (list, tuple)) or not all(map(_is_provider, providers)):
        raise OptionError(
            f"providers was {abridge(providers)}; give a list of names, or of pairs (name, options), "
            f"for example [{CUDA!r}, {CPU!r}]"
        )
    if not providers:
        raise OptionError("providers is empty; name one, or leave it out")
    chosen: dict[str, str | tuple[str, Mapping[str, Any]]] = {}
    for item in providers:
        name = provider_name(item)
        _check_known(name, available)
        chosen.setdefault(name, item)  # of two the first counts, as the runtime has it
    missing = [name for name in chosen if name not in available]
    if CPU in chosen:
        note = f"not in this onnxruntime: {', '.join(missing)}" if missing else ""
        return Choice(tuple(item for name, item in chosen.items() if name in available), None, note)
    if missing:
        raise DeviceError(
            f"provider {missing[0]!r} is not in this onnxruntime; it has {', '.join(available)}; "
            f"add {CPU!r} to the list to go on without"
        )
    return Choice(tuple(chosen.values()), next(iter(chosen)))


def provider_name(item: str | tuple[str, Mapping[str, Any]]) -> str:
    """Return the name of an entry in a list of providers."""
    return item if isinstance(item, str) else item[0]


def _check_known(name: str, available: Sequence[str]) -> None:
    known = {*(f"{each}{_ENDING}" for each in _ALL), *available}
    if name not in known:
        import difflib  # only who mistypes waits for it

        same = {name.lower(), f"{name}{_ENDING}".lower()}
        close = [each for each in known if each.lower() in same]
        close = close or difflib.get_close_matches(name, known, 1)
        meant = f"did you mean {close[0]!r}? It" if close else "it"
        raise DeviceError(
            f"provider {name[:60]!r} is not in this onnxruntime; {meant} has {', '.join(available)}"
        )


def _is_provider(item: object) -> bool:
    if isinstance(item, tuple):
        return len(item) == 2 and isinstance(item[0], str) and isinstance(item[1], Mapping)
    return isinstance(item, str)


def _automatic(available: Sequence[str]) -> Choice:
    """CUDA where it works, else the CPU; CoreML and DirectML, which round otherwise, only on request."""
    if CUDA not in available:
        return Choice((CPU,), None)
    if obstacle := driver_obstacle():
        return Choice((CPU,), None, f"no GPU in use: {obstacle}")
    return Choice((_cuda("0"), CPU), None)


def _of_the_runtime(
    provider: str, options: Mapping[str, Any], available: Sequence[str], where: str
) -> Choice:
    if provider not in available:
        reason = f"the installed runtime ({runtime_version()}) is without it; {where}"
        raise DeviceError(lacking(provider, reason))
    return Choice(((provider, options), CPU), provider)


def _cuda(index: str) -> tuple[str, Mapping[str, Any]]:
    return CUDA, {"device_id": index, **_CUDA_OPTIONS}


def _no_cuda_build() -> str:
    return (
        f"the installed runtime ({runtime_version()}) has no CUDA; "
        "pip uninstall onnxruntime, then pip install onnxruntime-gpu"
    )
