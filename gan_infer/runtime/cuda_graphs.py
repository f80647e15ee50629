"""Runs a session on buffers that stay on its device, in batches of a few fixed sizes.

A GPU plans each new batch size: it chooses kernels, allocates memory and captures a graph. So batches
are padded to one of `SIZES`, and the padding is cut off the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import onnxruntime as ort

    Array = npt.NDArray[Any]
    Feeds = Mapping[str, Array]

SIZES: Final = (1, 2, 4, 8, 16, 32, 64)

_DTYPES: Final[dict[str, Any]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
}
# The runtime's number for a run outside any captured graph.
_NO_GRAPH: Final = -1


def size_for(count: int) -> int:
    """Return the smallest of SIZES that holds `count` rows, or the largest if none does."""
    return next((size for size in SIZES if size >= count), SIZES[-1])


class BucketedSession:
    """A session of the runtime with fixed buffers on one device.

    All runs happen on one thread of its own: the runtime keeps a captured graph, and handles of
    the GPU's libraries, for each thread that calls it, and callers use many.
    """

    def __init__(
        self,
        open_session: Callable[[bool], ort.InferenceSession],
        device_type: str,
        device_id: int,
        graphs: bool | None = None,
    ) -> None:
        """Open a session by `open_session(with graphs)`, without graphs if it refuses them.

        `device_type` is the runtime's name for where buffers lie: "cuda", or "cpu" for tests.
        Graphs are wanted everywhere but on the CPU, unless `graphs` says otherwise.
        """
        self._open_session = open_session
        from concurrent.futures import ThreadPoolExecutor  # takes time to import, and only a GPU needs it

        self._place = (device_type, device_id)
        self.graphs = device_type != "cpu" if graphs is None else graphs
        try:
            self.session = open_session(self.graphs)
        except Exception:  # graphs need every node on the GPU; another reason will show again without them
            if not self.graphs:
                raise
            self.graphs = False
            self.session = open_session(False)
        self._buffers: dict[tuple[int, tuple[str, ...]], _Buffers] = {}
        self._thread = ThreadPoolExecutor(1, "ganforge-gpu")

    def run(self, names: Sequence[str], feeds: Feeds) -> list[Array]:
        """Return the named outputs, each [rows, ...], of inputs that are each [rows, ...]; thread-safe."""
        return self._thread.submit(self._run, tuple(names), feeds).result()

    def try_out(self) -> None:
        """Run a batch of one on zeros, if all shapes but the batch are fixed."""
        names = tuple(item.name for item in self.session.get_outputs())
        shapes = _read_shapes(self.session, names)
        if shapes is not None:
            self.run(
                names, {name: np.zeros((1, *sides), dtype) for name, (dtype, sides) in shapes[0].items()}
            )

    def close(self) -> None:
        """Let the thread end; the session is freed when nobody refers to it."""
        self._thread.shutdown(wait=False)

    def _run(self, names: tuple[str, ...], feeds: Feeds) -> list[Array]:
        shapes = _read_shapes(self.session, names)
        if shapes is None or feeds.keys() != shapes[0].keys():  # optional inputs have no buffers
            return list(self.session.run(list(names), dict(feeds), _make_options(_NO_GRAPH)))
        count = len(next(iter(feeds.values())))
        parts = []
        for start in range(0, count, SIZES[-1]):
            rows = {name: array[start : start + SIZES[-1]] for name, array in feeds.items()}
            parts.append(self._run_part(names, shapes, rows))
        return parts[0] if len(parts) == 1 else [np.concatenate(each) for each in zip(*parts, strict=True)]

    def _run_part(self, names: tuple[str, ...], shapes: _Shapes, feeds: Feeds) -> list[Array]:
        count = len(next(iter(feeds.values())))
        key = (size_for(count), names)
        if key not in self._buffers:
            self._buffers[key] = self._prepare(key, shapes, feeds)
        buffers = self._buffers[key]
        buffers.fill(feeds)
        buffers.run()
        return buffers.read_results(count)

    def _prepare(self, key: tuple[int, tuple[str, ...]], shapes: _Shapes, feeds: Feeds) -> _Buffers:
        """Make buffers; with graphs, capture one and check that it gives what a plain run gives."""
        graph = len(self._buffers) + 1 if self.graphs else _NO_GRAPH
        buffers = _Buffers(self.session, self._place, key[0], shapes, graph)
        if not self.graphs:
            return buffers
        buffers.fill(feeds)
        try:
            buffers.run(_NO_GRAPH)
            plain = buffers.read_results(key[0])
            for _ in range(2):  # captured, then played back
                buffers.clear_results()
                buffers.run()
                if not all(map(np.array_equal, buffers.read_results(key[0]), plain)):
                    raise RuntimeError("a captured graph gives other values than a plain run")
        except Exception:  # a broken capture can leave the session's stream unusable: start afresh
            self.graphs = False
            self._buffers.clear()
            self.session = self._open_session(False)
            return _Buffers(self.session, self._place, key[0], shapes, _NO_GRAPH)
        return buffers


# name -> (numpy's type, sides after the batch), of the inputs and of the outputs to compute
_Shapes = tuple[dict[str, tuple[Any, tuple[int, ...]]], dict[str, tuple[Any, tuple[int, ...]]]]


class _Buffers:
    """Inputs and outputs of one batch size on the device, bound to a session."""

    def __init__(
        self, session: ort.InferenceSession, place: tuple[str, int], size: int, shapes: _Shapes, graph: int
    ) -> None:
        import onnxruntime as ort

        self._session = session
        self._host = {name: np.zeros((size, *sides), dtype) for name, (dtype, sides) in shapes[0].items()}
        self._inputs = {
            name: ort.OrtValue.ortvalue_from_numpy(array, *place) for name, array in self._host.items()
        }
        self._outputs = [
            ort.OrtValue.ortvalue_from_shape_and_type((size, *sides), dtype, *place)
            for dtype, sides in shapes[1].values()
        ]
        self._binding = session.io_binding()
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        for name, value in zip(shapes[1], self._outputs, strict=True):
            self._binding.bind_ortvalue_output(name, value)
        self._options = _make_options(graph)

    def fill(self, feeds: Feeds) -> None:
        """Copy rows to the device; the rows after them keep old values, which do not matter."""
        for name, array in feeds.items():
            host = self._host[name]
            host[: len(array)] = array
            self._inputs[name].update_inplace(host)

    def run(self, graph: int | None = None) -> None:
        options = self._options if graph is None else _make_options(graph)
        self._binding.synchronize_inputs()
        self._session.run_with_iobinding(self._binding, options)
        self._binding.synchronize_outputs()

    def clear_results(self) -> None:
        for value in self._outputs:
            value.update_inplace(np.zeros_like(value.numpy()))

    def read_results(self, count: int) -> list[Array]:
        """Return copies of the first rows of the outputs."""
        return [value.numpy()[:count].copy() for value in self._outputs]


def _make_options(graph: int) -> ort.RunOptions:
    import onnxruntime as ort

    options = ort.RunOptions()
    options.add_run_config_entry("gpu_graph_id", str(graph))
    return options


def _read_shapes(session: ort.InferenceSession, names: tuple[str, ...]) -> _Shapes | None:
    """Return all shapes without the batch; None if one is not fixed or a type is not in `_DTYPES`."""
    outputs = {item.name: item for item in session.get_outputs()}
    sides: list[dict[str, tuple[Any, tuple[int, ...]]]] = [{}, {}]
    for found, items in zip(sides, (session.get_inputs(), [outputs[name] for name in names]), strict=True):
        for item in items:
            batch, *rest = item.shape or [0]
            if item.type not in _DTYPES or isinstance(batch, int):
                return None
            if not all(isinstance(side, int) for side in rest):
                return None
            found[item.name] = (_DTYPES[item.type], tuple(rest))
    return sides[0], sides[1]
