"""The only file that touches onnxruntime: opens a model on a device and runs it; knows no GANs."""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer.errors import DeviceError, ModelError, OptionError

if TYPE_CHECKING:
    import numpy.typing as npt
    import onnxruntime as ort

Providers = Sequence[str | tuple[str, Mapping[str, Any]]]

_CPU: Final = "CPUExecutionProvider"
_CUDA: Final = "CUDAExecutionProvider"


class Session:
    """An open model: its inputs and outputs, its metadata texts, and where it runs.

    Attributes:
        device: "cpu", "cuda:0" and so on, as the runtime reports it, not as it was asked for.
        providers: names of the runtime's execution providers in use, first choice first.
        note: why `auto` did not take a GPU that the runtime was built for; "" where nothing is
            to be said.
        metadata: the texts in the file's `metadata_props`.
        inputs, outputs: name -> (type as the runtime writes it, shape with None where free).
        optional_inputs: the same, of inputs that have a value of their own where none is fed.
        run: run(output names or None, {input name: array}) -> list of arrays; thread-safe.
    """

    def __init__(
        self,
        model: bytes,
        *,
        source: str,
        device: str = "auto",
        providers: Providers | None = None,
        session_options: ort.SessionOptions | None = None,
    ) -> None:
        """Open the bytes of a model file; `source` names it in messages.

        Raises:
            ModelError: the bytes are no model that the runtime can open.
            DeviceError: the asked-for device or provider cannot be had.
            OptionError: `device` is none that there is.
        """
        import onnxruntime as ort

        self.note = ""
        options = session_options or ort.SessionOptions()
        chosen, wanted = self._choose(device, providers, ort.get_available_providers())
        if session_options is None:
            # A failed try of a GPU is told by `note`, and of inputs that may be left out the runtime
            # warns at each start; its log would say again what we know.
            options.log_severity_level = 3
        try:
            opened = ort.InferenceSession(model, options, providers=chosen)
        except Exception as error:  # the runtime's exceptions share no public base
            if wanted is not None and wanted != _CPU and "provider" in str(error).lower():
                raise DeviceError(_lacking(wanted, _one_line(error))) from None
            raise ModelError(
                f"{source} cannot be opened as an ONNX model ({_one_line(error)}); "
                "give a file that gan-train export wrote"
            ) from None
        self.providers: tuple[str, ...] = tuple(opened.get_providers())
        if wanted is not None and wanted not in self.providers:
            raise DeviceError(_lacking(wanted, cuda_obstacle()))
        if len(chosen) > 1 and wanted is None and _CUDA not in self.providers:
            self.note = f"no GPU in use: {cuda_obstacle()}"
        self.device = self._running_on(opened)
        self.metadata: dict[str, str] = dict(opened.get_modelmeta().custom_metadata_map)
        self.inputs = {item.name: _signature(item) for item in opened.get_inputs()}
        self.outputs = {item.name: _signature(item) for item in opened.get_outputs()}
        self.optional_inputs = {item.name: _signature(item) for item in opened.get_overridable_initializers()}
        self.run: Any = opened.run

    def _choose(
        self, device: str, providers: Providers | None, available: Sequence[str]
    ) -> tuple[list[Any], str | None]:
        """Give the providers to ask the runtime for, and the one that must be there (or None)."""
        if providers is not None:
            if not providers:
                raise OptionError("providers is empty; name one, or leave it out")
            names = [item if isinstance(item, str) else item[0] for item in providers]
            for name in names:
                if name not in available:
                    raise DeviceError(
                        f"provider {name!r} is not in this onnxruntime; it has {', '.join(available)}"
                    )
            if _CUDA in names:
                _load_cuda_libraries()
            return list(providers), names[0]
        match = re.fullmatch(r"auto|cpu|cuda(?::(\d{1,3}))?", device)
        if not match:
            raise OptionError(f"device {device!r} is unknown; give 'auto', 'cpu', 'cuda' or 'cuda:1'")
        if device == "cpu":
            return [_CPU], _CPU
        cuda = (_CUDA, {"device_id": match[1] or "0", "cudnn_conv_algo_search": "HEURISTIC"})
        if device == "auto":
            if _CUDA not in available:
                return [_CPU], None
            if obstacle := driver_obstacle():
                self.note = f"no GPU in use: {obstacle}"
                return [_CPU], None
            _load_cuda_libraries()
            return [cuda, _CPU], None
        if _CUDA not in available:
            raise DeviceError(_lacking(_CUDA, _no_cuda_build()))
        if obstacle := driver_obstacle():
            raise DeviceError(_lacking(_CUDA, obstacle))
        _load_cuda_libraries()
        return [cuda, _CPU], _CUDA

    def _running_on(self, opened: ort.InferenceSession) -> str:
        first = self.providers[0]
        if first == _CUDA:
            return f"cuda:{opened.get_provider_options()[_CUDA].get('device_id', '0')}"
        return first.removesuffix("ExecutionProvider").lower()


def runtime_version() -> str:
    """Give the runtime's wheel and version, for example "onnxruntime-gpu 1.31.1"."""
    import importlib.metadata  # costs as much to import as Pillow, and is needed rarely

    for wheel in ("onnxruntime-gpu", "onnxruntime"):
        try:
            return f"{wheel} {importlib.metadata.version(wheel)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    import onnxruntime as ort

    return f"onnxruntime {ort.__version__}"


def driver_obstacle() -> str:
    """Say what of NVIDIA's driver is missing here; "" where it loads and sees a device."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return f"the NVIDIA driver's library {name} is missing; install NVIDIA's driver"
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return "the NVIDIA driver does not start here; see what nvidia-smi says"
    return "" if count.value else "the NVIDIA driver sees no device; see what nvidia-smi says"


def cuda_obstacle() -> str:
    """Say what keeps the CUDA provider from starting, as far as can be told from outside."""
    if obstacle := driver_obstacle():
        return obstacle
    windows = sys.platform == "win32"
    for library in ("cudart64_12.dll", "cudnn64_9.dll") if windows else ("libcudart.so.12", "libcudnn.so.9"):
        try:
            ctypes.CDLL(library)
        except OSError:
            return f"the library {library} is missing; install it with: pip install 'ganforge[cuda]'"
    return "CUDA's libraries load but the runtime's provider does not start; see its log above"


def _no_cuda_build() -> str:
    return (
        f"the installed runtime ({runtime_version()}) has no CUDA; "
        "pip uninstall onnxruntime, then pip install onnxruntime-gpu"
    )


def _lacking(provider: str, reason: str) -> str:
    asked = "cuda" if provider == _CUDA else provider
    return f"device {asked!r} cannot be had: {reason}; or use device='cpu'"


def _load_cuda_libraries() -> None:
    import onnxruntime as ort

    if hasattr(ort, "preload_dlls"):  # since 1.21: finds the libraries that pip installed
        ort.preload_dlls()


def _signature(item: Any) -> tuple[str, tuple[int | None, ...]]:
    return item.type, tuple(side if isinstance(side, int) else None for side in item.shape)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : (\w+) : ", r"\1: ", text)
    return text if len(text) <= 200 else text[:197] + "..."


def as_float32(values: object) -> npt.NDArray[np.float32]:
    """Give a C-contiguous float32 array; no copy where it already is one."""
    return np.ascontiguousarray(values, np.float32)
