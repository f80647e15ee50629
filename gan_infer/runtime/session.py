"""Opens a model on a device and runs it by ONNX Runtime.

This file, cuda_graphs.py and trial/child.py are the only ones that use onnxruntime.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import re
import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from gan_infer import arguments
from gan_infer.errors import DeviceError, ModelError, OptionError
from gan_infer.runtime import cpu_count, cuda_graphs, devices
from gan_infer.runtime.devices import Providers
from gan_infer.text.escaping import abridge, one_line

if TYPE_CHECKING:
    import numpy.typing as npt
    import onnxruntime as ort

MAX_THREADS: Final = 1024
# Pictures per call of the runtime: with more a CPU gains nothing and memory only grows.
BATCH: Final = 64
# Operators that take most of the time; if one of them is not on the requested GPU, `note` says so.
_HEAVY: Final = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "Resize"})


class _Runner(Protocol):
    def run(self, names: Sequence[str], feeds: Any, /) -> Any: ...


class AnySession(Protocol):
    """What the SDK needs of an open model; see `Session`."""

    note: str
    metadata: dict[str, str]
    inputs: dict[str, tuple[str, tuple[int | None, ...]]]
    outputs: dict[str, tuple[str, tuple[int | None, ...]]]
    optional_inputs: dict[str, tuple[str, tuple[int | None, ...]]]
    device: str
    providers: tuple[str, ...]
    threads: int | None

    def run(self, names: Sequence[str], feeds: Mapping[str, npt.NDArray[Any]]) -> Any: ...  # noqa: D102
    def sha256(self) -> str: ...  # noqa: D102
    def body(self) -> bytes: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class Session:
    """An open model: its inputs and outputs, its metadata texts, and where it runs.

    Threads may share one. After a fork the child opens the model again at its first run.

    Attributes:
        source: where the model came from, for messages.
        device: "cpu", "cuda:0" and so on, as the runtime reports it, not as it was requested.
        providers: names of the runtime's execution providers in use, first choice first.
        threads: how many threads share the CPU's part of the work; None if `session_options` decide it.
        note: why `auto` did not take a GPU that the runtime was built for, which of a list of
            `providers` are not in use, or what part of the model a GPU left to the CPU; "" if there
            is nothing to say.
        metadata: the texts in the file's `metadata_props`.
        inputs, outputs: name -> (type as the runtime writes it, shape with None for free sides).
        optional_inputs: the same, of inputs that have a default value.
    """

    def __init__(
        self,
        model: bytes,
        *,
        source: str,
        device: str = "auto",
        providers: Providers | None = None,
        session_options: ort.SessionOptions | None = None,
        threads: int | None = None,
        sha256: str = "",
    ) -> None:
        """Open the bytes of a model file; `source` names it in messages.

        Args:
            device: "auto", "cpu", "cuda", "cuda:1", "coreml", "dml" or "dml:1".
            providers: the runtime's own list of execution providers, instead of `device`. If the CPU
                is in it, those that are not available are left out, and `note` says so; otherwise
                the first must be available.
            session_options: the runtime's own options, passed on unchanged.
            threads: 1 to 1,024; by default the cores that affinity and control groups leave.
            sha256: of the bytes, if it is known already.

        Raises:
            ModelError: the runtime cannot open the bytes as a model.
            DeviceError: the requested device or provider is not available.
            OptionError: `device` or `threads` is out of its range, or `threads` was given together
                with `session_options`.
        """
        if threads is not None and session_options is not None:
            raise OptionError("threads and session_options were both given; set the threads in the options")
        if session_options is not None and not isinstance(session_options, _import_runtime().SessionOptions):
            raise OptionError(
                f"session_options was {abridge(session_options)}; give onnxruntime.SessionOptions"
            )
        self.source = source
        self.threads = None if session_options is not None else _count_threads(threads)
        self._model = model  # the runtime's session refers to the same bytes: no second copy
        self._asked = (device, providers)
        self._session_options = session_options
        self._lock = threading.Lock()
        self._closed = False
        self._sha256 = sha256
        self._runner: _Runner | None = None
        self._open()
        _open_sessions.add(self)

    def run(self, names: Sequence[str], feeds: Mapping[str, npt.NDArray[Any]]) -> Any:
        """Return the named outputs for named inputs, as a list of arrays.

        Raises:
            ModelError: the session was closed, or the runtime cannot run the model on these inputs.
            DeviceError: the device failed, or the process was forked from one that used a GPU.
        """
        runner = self._runner or self._reopen()
        try:
            return runner.run(names, feeds)
        except Exception as error:  # the runtime's exceptions share no public base
            raise self._make_error(error) from error

    def sha256(self) -> str:
        """Return the SHA-256 of the model's bytes, in hexadecimal."""
        self._check_open()
        if not self._sha256:
            import hashlib  # loads a library of its own, and only pickles and provenance need it

            self._sha256 = hashlib.sha256(self._model).hexdigest()
        return self._sha256

    def body(self) -> bytes:
        """Return the model's bytes."""
        self._check_open()
        return self._model

    def close(self) -> None:
        """Free the model and what the runtime holds for it; runs in progress end first."""
        with self._lock:
            runner, self._runner = self._runner, None
            self._closed, self._model = True, b""
        if isinstance(runner, cuda_graphs.BucketedSession):
            runner.close()

    # Opening.

    def _open(self) -> None:
        choice = devices.choose(*self._asked, _import_runtime().get_available_providers())
        self.note = choice.note
        if devices.CUDA in _list_names(choice.providers):
            load_cuda_libraries()
        runner, inference = self._start(choice)
        self.providers: tuple[str, ...] = tuple(inference.get_providers())
        if choice.wanted is not None and choice.wanted not in self.providers:
            reason = "the runtime does not start it"
            if choice.wanted == devices.CUDA:
                reason = devices.cuda_obstacle()
            raise DeviceError(devices.explain_missing(choice.wanted, reason))
        if choice.wanted is None:
            self._note_missing([name for name in _list_names(choice.providers) if name not in self.providers])
        self.device = self._name_device(inference)
        if self.device != "cpu":
            self.note = self.note or _describe_left_to_cpu(inference)
        self.metadata: dict[str, str] = dict(inference.get_modelmeta().custom_metadata_map)
        self.inputs = {item.name: _read_signature(item) for item in inference.get_inputs()}
        self.outputs = {item.name: _read_signature(item) for item in inference.get_outputs()}
        self.optional_inputs = {
            item.name: _read_signature(item) for item in inference.get_overridable_initializers()
        }
        self._runner = runner

    def _note_missing(self, missing: Sequence[str]) -> None:
        """Note which requested providers are not in use."""
        if not missing:
            return
        reason = devices.cuda_obstacle() if devices.CUDA in missing else "the runtime does not start it"
        self.note = self.note or (
            f"no GPU in use: {reason}"
            if self._asked[1] is None
            else f"without {', '.join(missing)}: {reason}"
        )

    def _start(self, choice: devices.Selection) -> tuple[_Runner, ort.InferenceSession]:
        """Open the model on the chosen providers; if none is required, without those that fail."""
        options = self._session_options or self._make_options(choice)

        def open_session(graphs: bool = False) -> ort.InferenceSession:
            providers: list[Any] = [_enable_graphs(item) if graphs else item for item in choice.providers]
            inference: ort.InferenceSession = _import_runtime().InferenceSession(
                self._model, options, providers=providers, enable_fallback=0
            )
            inference.disable_fallback()  # or the CPU would replace a failing GPU in the middle of work
            return inference

        names = _list_names(choice.providers)
        try:
            if names[0] == devices.CUDA and self._asked[1] is None:
                bucketed = cuda_graphs.BucketedSession(open_session, "cuda", _device_id(choice.providers[0]))
                if devices.CUDA in bucketed.session.get_providers():
                    _try_out(bucketed)
                    return bucketed, bucketed.session
                bucketed.close()
                return bucketed.session, bucketed.session
            inference = open_session()
            return (_OneAtATime(inference) if names[0] == devices.DML else inference), inference
        except Exception as error:
            if names[0] == devices.CPU:
                raise ModelError(
                    f"{self.source} cannot be opened as an ONNX model ({_shorten(error)}); "
                    "give a file that gan-train export wrote"
                ) from None
            if choice.wanted is not None:
                self._start(
                    devices.Selection((devices.CPU,), None)
                )  # raises ModelError if the model is at fault
                raise DeviceError(devices.explain_missing(choice.wanted, _shorten(error))) from None
            rest = self._start(devices.Selection(choice.providers[1:], None))
            without = "no GPU in use" if self._asked[1] is None else f"without {names[0]}"
            self.note = f"{without}: {_shorten(error)}"
            return rest

    def _make_options(self, choice: devices.Selection) -> ort.SessionOptions:
        options: ort.SessionOptions = _import_runtime().SessionOptions()
        assert self.threads is not None
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        # Idle threads stay awake for a moment, the runtime's default: with "session.force_spinning_stop"
        # batch 1 of the shipped digits took 0 to 2 % longer on one machine of 2 cores and 18 to 27 %
        # on another, where a sleeping thread wakes slowly; batch 64 took no longer on either.
        if _list_names(choice.providers)[0] == devices.DML:
            options.enable_mem_pattern = False  # that provider's own demand
        has_list = self._asked[1] is not None and len(choice.providers) > 1
        if has_list or choice.wanted not in (None, devices.CPU):
            options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        # `note` reports a GPU that did not start, our own errors report a failed run, and the runtime
        # would warn of optional inputs at each start; its log would only repeat that.
        options.log_severity_level = 4
        return options

    def _name_device(self, inference: ort.InferenceSession) -> str:
        first = self.providers[0]
        if first in (devices.CUDA, devices.DML):
            index = inference.get_provider_options().get(first, {}).get("device_id", "0")
            return f"{'cuda' if first == devices.CUDA else 'dml'}:{index}"
        return first.removesuffix("ExecutionProvider").lower()

    # Forks, failures, the end.

    def _reopen(self) -> _Runner:
        self._check_open()
        with self._lock:
            if self._runner is None:
                if self.device != "cpu":
                    raise DeviceError(
                        f"{self.source} was loaded on {self.device} before this process was forked, and a "
                        "GPU does not outlive a fork; load it in the child, or start processes by spawn"
                    )
                self._open()
            assert self._runner is not None
            return self._runner

    def _check_open(self) -> None:
        if self._closed:
            raise ModelError(f"{self.source} was closed; load it again")

    def _make_error(self, error: Exception) -> Exception:
        if self._closed:  # by another thread, after this run had taken the session
            return ModelError(f"{self.source} was closed; load it again")
        if self.device == "cpu":
            return ModelError(f"{self.source} cannot be run: {_shorten(error)}")
        return DeviceError(f"{self.device} failed on {self.source}: {_shorten(error)}; or use device='cpu'")

    def _leave_behind(self) -> None:
        """Keep a forked child from freeing the parent's session, whose threads do not exist here."""
        if self._runner is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._runner))
            self._runner = None
        self._lock = threading.Lock()  # a thread of the parent may have held the old one


class _OneAtATime:
    """A session that runs one call at a time, for a provider that needs this."""

    def __init__(self, inference: ort.InferenceSession) -> None:
        self._inference = inference
        self._lock = threading.Lock()

    def run(self, names: Sequence[str], feeds: Any, /) -> Any:
        with self._lock:
            return self._inference.run(names, feeds)


_open_sessions: weakref.WeakSet[Session] = weakref.WeakSet()


def _after_fork() -> None:
    for session in list(_open_sessions):
        session._leave_behind()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _try_out(bucketed: cuda_graphs.BucketedSession) -> None:
    """Run once on zeros: only a run shows that a GPU is too old or full, or that a part of cuDNN is missing.

    Raises:
        Exception: the runtime's own, without a public base class; the session is closed.
    """
    try:
        bucketed.try_out()
    except Exception:
        bucketed.close()
        raise


def _count_threads(threads: int | None) -> int:
    if threads is None:
        return min(cpu_count.count_usable(), MAX_THREADS)
    return arguments.whole_number(threads, "threads", most=MAX_THREADS)


def _list_names(providers: Providers) -> list[str]:
    return [devices.provider_name(item) for item in providers]


def _enable_graphs(item: str | tuple[str, Mapping[str, Any]]) -> str | tuple[str, Mapping[str, Any]]:
    if isinstance(item, str) or item[0] != devices.CUDA:
        return item
    return item[0], {**item[1], "enable_cuda_graph": "1"}


def _device_id(item: str | tuple[str, Mapping[str, Any]]) -> int:
    return 0 if isinstance(item, str) else int(item[1].get("device_id", 0))


def _describe_left_to_cpu(inference: ort.InferenceSession) -> str:
    """Return a note of the model's heavy operators that the runtime placed on the CPU, not on the GPU."""
    try:
        parts = inference.get_provider_graph_assignment_info()  # since 1.24, if recording was requested
        left = {
            node.op_type for part in parts if part.ep_name == devices.CPU for node in part.get_nodes()
        } & _HEAVY
    except (AttributeError, RuntimeError):
        return ""
    return f"left to the CPU by the device: {', '.join(sorted(left))}" if left else ""


def _import_runtime() -> Any:
    """Import onnxruntime with its telemetry off.

    Since version 1.29 telemetry is on by default, unless it is turned off before the first import; and
    its thread kills a forked child when the child ends.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


def describe_runtime() -> tuple[str, tuple[str, ...]]:
    """Import the runtime and return its version and the providers that it was built with.

    Raises:
        ImportError: the runtime is not installed, or does not load.
    """
    ort = _import_runtime()
    return str(getattr(ort, "__version__", "")), tuple(ort.get_available_providers())


def version() -> str:
    """Import the runtime and return its version."""
    return str(getattr(_import_runtime(), "__version__", ""))


_loading_libraries = threading.Lock()


def load_cuda_libraries() -> None:
    """Load the CUDA libraries that pip installed, where the runtime can find them itself."""
    ort = _import_runtime()
    if hasattr(ort, "preload_dlls"):  # since 1.21: finds the libraries that pip installed
        # devices.cuda_obstacle reports what is missing. One thread at a time: of two that redirect
        # stdout and restore it, the later one would leave it redirected.
        with _loading_libraries, contextlib.redirect_stdout(io.StringIO()):
            ort.preload_dlls()


def _read_signature(item: Any) -> tuple[str, tuple[int | None, ...]]:
    return item.type, tuple(side if isinstance(side, int) else None for side in item.shape)


def _shorten(error: Exception) -> str:
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : (\w+) : ", r"\1: ", str(error).lstrip())
    return one_line(text or error)
