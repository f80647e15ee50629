"""Runs a session on buffers that stay on its device, in batches of a few fixed sizes; knows no GANs.

A GPU plans each batch size anew: kernels are chosen, memory is asked for, a graph is captured. So
batches are padded up to one of `SIZES` and the padding is cut off the result.
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
# The runtime's word for a run outside of any captured graph.
_NO_GRAPH: Final = -1


def size_for(count: int) -> int:
    """Return the smallest of SIZES that holds `count` rows, or the largest where none does."""
    return next((size for size in SIZES if size >= count), SIZES[-1])


class BucketedSession:
    """`run` as of the runtime's own session, on fixed buffers of one device.

    All runs happen on one thread of its own: the runtime keeps a captured graph, and handles of
    the GPU's libraries, for each thread that calls it, and callers come from many.
    """

    def __init__(
        self, open_session: Callable[[bool], ort.InferenceSession], device_type: str, device_id: int
    ) -> None:
        """Open a session by `open_session(with graphs)`, without graphs where it refuses them.

        `device_type` is the runtime's word for where buffers lie: "cuda", or "cpu" for trying out.
        """
        self._open_session = open_session
        from concurrent.futures import ThreadPoolExecutor  # takes time to import, and only a GPU needs it

        self._place = (device_type, device_id)
        self.graphs = device_type != "cpu"
        try:
            self.opened = open_session(self.graphs)
        except Exception:  # graphs need every node on the GPU; without them the reason would come again
            if not self.graphs:
                raise
            self.graphs = False
            self.opened = open_session(False)
        self._buffers: dict[tuple[int, tuple[str, ...]], _Buffers] = {}
        self._thread = ThreadPoolExecutor(1, "ganforge-gpu")

    def run(self, names: Sequence[str], feeds: Feeds) -> list[Array]:
        """Return the named outputs, each [rows, ...], of inputs that are each [rows, ...]; thread-safe."""
        return self._thread.submit(self._run, tuple(names), feeds).result()

    def try_out(self) -> None:
        """Run a batch of one on zeros, where all shapes are fixed but for the batch."""
        names = tuple(item.name for item in self.opened.get_outputs())
        shapes = _shapes(self.opened, names)
        if shapes is not None:
            self.run(
                names, {name: np.zeros((1, *sides), dtype) for name, (dtype, sides) in shapes[0].items()}
            )

    def close(self) -> None:
        """Let the thread end; the session goes when nobody refers to it."""
        self._thread.shutdown(wait=False)

    def _run(self, names: tuple[str, ...], feeds: Feeds) -> list[Array]:
        shapes = _shapes(self.opened, names)
        if shapes is None or feeds.keys() != shapes[0].keys():  # inputs that may be left out have no buffers
            return list(self.opened.run(list(names), dict(feeds), _options(_NO_GRAPH)))
        count = len(next(iter(feeds.values())))
        parts = []
        for start in range(0, count, SIZES[-1]):
            rows = {name: array[start : start + SIZES[-1]] for name, array in feeds.items()}
            parts.append(self._part(names, shapes, rows))
        return parts[0] if len(parts) == 1 else [np.concatenate(each) for each in zip(*parts, strict=True)]

    def _part(self, names: tuple[str, ...], shapes: _Shapes, feeds: Feeds) -> list[Array]:
        count = len(next(iter(feeds.values())))
        key = (size_for(count), names)
        if key not in self._buffers:
            self._buffers[key] = self._prepared(key, shapes, feeds)
        buffers = self._buffers[key]
        buffers.fill(feeds)
        buffers.run()
        return buffers.results(count)

    def _prepared(self, key: tuple[int, tuple[str, ...]], shapes: _Shapes, feeds: Feeds) -> _Buffers:
        """Return buffers whose graph, where graphs are on, was captured and gives what a plain run gives."""
        graph = len(self._buffers) + 1 if self.graphs else _NO_GRAPH
        buffers = _Buffers(self.opened, self._place, key[0], shapes, graph)
        if not self.graphs:
            return buffers
        buffers.fill(feeds)
        try:
            buffers.run(_NO_GRAPH)
            plain = buffers.results(key[0])
            for _ in range(2):  # captured, then played back
                buffers.clear_results()
                buffers.run()
                if not all(map(np.array_equal, buffers.results(key[0]), plain)):
                    raise RuntimeError("a captured graph gives other values than a plain run")
        except Exception:  # a broken capture can leave the session's stream unusable: start afresh
            self.graphs = False
            self._buffers.clear()
            self.opened = self._open_session(False)
            return _Buffers(self.opened, self._place, key[0], shapes, _NO_GRAPH)
        return buffers


# name -> (numpy's type, sides after the batch), of inputs and of the wanted outputs
_Shapes = tuple[dict[str, tuple[Any, tuple[int, ...]]], dict[str, tuple[Any, tuple[int, ...]]]]


class _Buffers:
    """Inputs and outputs of one batch size on the device, bound to a session."""

    def __init__(
        self, opened: ort.InferenceSession, place: tuple[str, int], size: int, shapes: _Shapes, graph: int
    ) -> None:
        import onnxruntime as ort

        self._opened = opened
        self._host = {name: np.zeros((size, *sides), dtype) for name, (dtype, sides) in shapes[0].items()}
        self._inputs = {
            name: ort.OrtValue.ortvalue_from_numpy(array, *place) for name, array in self._host.items()
        }
        self._outputs = [
            ort.OrtValue.ortvalue_from_shape_and_type((size, *sides), dtype, *place)
            for dtype, sides in shapes[1].values()
        ]
        self._binding = opened.io_binding()
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        for name, value in zip(shapes[1], self._outputs, strict=True):
            self._binding.bind_ortvalue_output(name, value)
        self._options = _options(graph)

    def fill(self, feeds: Feeds) -> None:
        """Copy rows to the device; rows behind them keep what they held, which is as good as any."""
        for name, array in feeds.items():
            host = self._host[name]
            host[: len(array)] = array
            self._inputs[name].update_inplace(host)

    def run(self, graph: int | None = None) -> None:
        options = self._options if graph is None else _options(graph)
        self._binding.synchronize_inputs()
        self._opened.run_with_iobinding(self._binding, options)
        self._binding.synchronize_outputs()

    def clear_results(self) -> None:
        for value in self._outputs:
            value.update_inplace(np.zeros_like(value.numpy()))

    def results(self, count: int) -> list[Array]:
        """Return the first rows of the outputs, in arrays that the next run leaves alone."""
        return [value.numpy()[:count].copy() for value in self._outputs]


def _options(graph: int) -> ort.RunOptions:
    import onnxruntime as ort

    options = ort.RunOptions()
    options.add_run_config_entry("gpu_graph_id", str(graph))
    return options


def _shapes(opened: ort.InferenceSession, names: tuple[str, ...]) -> _Shapes | None:
    """Return all shapes but for the batch; None where one is not fixed or a type has no buffers here."""
    outputs = {item.name: item for item in opened.get_outputs()}
    sides: list[dict[str, tuple[Any, tuple[int, ...]]]] = [{}, {}]
    for found, items in zip(sides, (opened.get_inputs(), [outputs[name] for name in names]), strict=True):
        for item in items:
            batch, *rest = item.shape or [0]
            if item.type not in _DTYPES or isinstance(batch, int):
                return None
            if not all(isinstance(side, int) for side in rest):
                return None
            found[item.name] = (_DTYPES[item.type], tuple(rest))
    return sides[0], sides[1]
