"""Chooses the runtime's providers for a device's name, and explains what is missing for one.

It never imports the runtime: callers pass what the runtime offers.
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

# Every provider that a runtime may be built with; any other name is a typing mistake.
_ALL: Final = (
    *("NvTensorRTRTX", "Tensorrt", "CUDA", "MIGraphX", "OpenVINO", "Dnnl", "VitisAI", "QNN", "Nnapi"),
    *("VSINPU", "Js", "WebNN", "WebGpu", "CoreML", "ArmNN", "ACL", "Dml", "ROCM", "Rknpu", "Xnnpack"),
    *("CANN", "Azure", "CPU"),
)
_ENDING: Final = "ExecutionProvider"
_ASKED: Final = re.compile(r"(auto|cpu|coreml)|(cuda|dml)(?::([0-9]{1,3}))?")
# Parity with the CPU needs full float32 products; an exhaustive search of cuDNN's algorithms takes
# minutes; an arena that grows by the requested size does not double the memory of one large batch.
_CUDA_OPTIONS: Final = {
    "use_tf32": "0",
    "cudnn_conv_algo_search": "HEURISTIC",
    "arena_extend_strategy": "kSameAsRequested",
}


@dataclasses.dataclass(frozen=True)
class Selection:
    """Providers to request from the runtime, in order; `wanted` must start, None if any will do.

    `note` says why `auto` left out a GPU that the runtime was built for, or which providers of a
    list are not in the runtime; "" if nothing was left out.
    """

    providers: tuple[str | tuple[str, Mapping[str, Any]], ...]
    wanted: str | None
    note: str = ""


def choose(device: str, providers: Providers | None, available: Sequence[str]) -> Selection:
    """Return the providers for a device's name, or those that `providers` names instead.

    Args:
        device: "auto", "cpu", "cuda", "cuda:1", "coreml", "dml" or "dml:1".
        providers: the runtime's own list, used instead of `device`; or None. If the CPU is in it, what
            is not available is left out, as the runtime does; otherwise the first must be available.
        available: the providers that the installed runtime was built with.

    Raises:
        DeviceError: the device or provider is not in this runtime, or its driver is missing.
        OptionError: `device` is unknown, or `providers` is not a list of providers.
    """
    if providers is not None:
        return _choose_given(providers, available)
    match = _ASKED.fullmatch(device) if isinstance(device, str) else None
    if not match:
        raise OptionError(
            f"device {abridge(device)} is unknown; give 'auto', 'cpu', 'cuda', 'cuda:1', 'coreml' or 'dml'"
        )
    plain, kind, index = match.groups()
    if plain == "cpu":
        return Selection((CPU,), CPU)
    if plain == "auto":
        return _choose_automatically(available)
    if plain == "coreml":
        return _choose_built_in(COREML, {}, available, "onnxruntime on macOS has it")
    if kind == "dml":
        options = {"device_id": index or "0"}
        return _choose_built_in(DML, options, available, "onnxruntime-directml on Windows has it")
    if CUDA not in available:
        raise DeviceError(explain_missing(CUDA, _explain_no_cuda()))
    if obstacle := driver_obstacle(int(index or 0)):
        raise DeviceError(explain_missing(CUDA, obstacle, index))
    return Selection((_cuda_provider(str(int(index or 0))), CPU), CUDA)


def explain_missing(provider: str, reason: str, index: str | None = None) -> str:
    """Return the message that a provider is not available, why, and what to use instead."""
    asked = {CUDA: "cuda", COREML: "coreml", DML: "dml"}.get(provider, provider)
    asked += f":{index}" if index else ""
    return f"device {asked!r} is not available: {reason}; or use device='cpu'"


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
    """Return what is missing of NVIDIA's driver; "" if it loads and sees device `index`."""
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
    """Return what keeps the CUDA provider from starting, as far as it can be seen from outside."""
    if obstacle := driver_obstacle():
        return obstacle
    for library in cuda_libraries():
        try:
            ctypes.CDLL(library)
        except OSError:
            return f"the library {library} is missing; install it with: pip install 'ganforge[cuda]'"
    return "CUDA's libraries load but the runtime's provider does not start; see its log above"


def cuda_libraries() -> tuple[str, ...]:
    """Return the libraries that the installed runtime's CUDA provider needs, for its version of CUDA."""
    major = _read_cuda_major()
    if sys.platform == "win32":
        return (f"cudart64_{major}.dll", f"cublasLt64_{major}.dll", f"cublas64_{major}.dll", "cudnn64_9.dll")
    return (
        f"libcudart.so.{major}",
        f"libcublasLt.so.{major}",
        f"libcublas.so.{major}",
        "libcurand.so.10",
        "libcudnn.so.9",
    )


def _read_cuda_major() -> int:
    """Return the major version of CUDA that the runtime was built for, read without importing it."""
    spec = importlib.util.find_spec("onnxruntime")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        try:
            text = Path(folder, "capi", "build_and_package_info.py").read_text(encoding="utf-8")
        except OSError:
            continue
        if match := re.search(r"cuda_version\s*=\s*['\"](\d+)", text):
            return int(match[1])
    return 12


def _choose_given(providers: Providers, available: Sequence[str]) -> Selection:
    if not isinstance(providers, (list, tuple)) or not all(map(_is_provider, providers)):
        raise OptionError(
            f"providers was {abridge(providers)}; give a list of names, or of pairs (name, options), "
            f"for example [{CUDA!r}, {CPU!r}]"
        )
    if not providers:
        raise OptionError("the list of providers is empty; name at least one, or leave the argument out")
    chosen: dict[str, str | tuple[str, Mapping[str, Any]]] = {}
    for item in providers:
        name = provider_name(item)
        _check_known(name, available)
        chosen.setdefault(name, item)  # the first of two counts, as in the runtime
    missing = [name for name in chosen if name not in available]
    if CPU in chosen:
        note = f"not in this onnxruntime: {', '.join(missing)}" if missing else ""
        return Selection(tuple(item for name, item in chosen.items() if name in available), None, note)
    if missing:
        raise DeviceError(
            f"provider {missing[0]!r} is not in this onnxruntime; it has {', '.join(available)}; "
            f"add {CPU!r} to the list to go on without"
        )
    return Selection(tuple(chosen.values()), next(iter(chosen)))


def provider_name(item: str | tuple[str, Mapping[str, Any]]) -> str:
    """Return the name of an entry in a list of providers."""
    return item if isinstance(item, str) else item[0]


def _check_known(name: str, available: Sequence[str]) -> None:
    known = {*(f"{each}{_ENDING}" for each in _ALL), *available}
    if name not in known:
        import difflib  # slow to import, and needed after a typing mistake only

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


def _choose_automatically(available: Sequence[str]) -> Selection:
    """Choose CUDA if it works, else the CPU; not CoreML and DirectML, which round differently."""
    if CUDA not in available:
        return Selection((CPU,), None)
    if obstacle := driver_obstacle():
        return Selection((CPU,), None, f"no GPU in use: {obstacle}")
    return Selection((_cuda_provider("0"), CPU), None)


def _choose_built_in(
    provider: str, options: Mapping[str, Any], available: Sequence[str], where: str
) -> Selection:
    if provider not in available:
        reason = f"the installed runtime ({runtime_version()}) does not have it; {where}"
        raise DeviceError(explain_missing(provider, reason))
    return Selection(((provider, options), CPU), provider)


def _cuda_provider(index: str) -> tuple[str, Mapping[str, Any]]:
    return CUDA, {"device_id": index, **_CUDA_OPTIONS}


def _explain_no_cuda() -> str:
    return (
        f"the installed runtime ({runtime_version()}) has no CUDA; "
        "pip uninstall onnxruntime, then pip install onnxruntime-gpu"
    )
