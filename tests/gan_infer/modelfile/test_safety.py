from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from gan_infer import Generator, ModelError
from gan_infer.modelfile import catalog, safety
from gan_infer.modelfile.catalog import shipped_models
from gan_infer.modelfile.safety import graph, protobuf
from gan_infer.modelfile.trial import verdicts
from tests import hostile
from tests.conftest import CONDITIONAL, UNCONDITIONAL, CommandLine, Kind, count_rows

Models = Callable[[Kind], Path]

# Loads every file of a folder in a process of its own and says, a line a file, how it went.
LOADER = """
import json, sys, time
from pathlib import Path
from gan_infer import Generator, ModelError
from gan_infer.modelfile import loader

real, opened = loader.Session, []
class Session(real):
    def __init__(self, *arguments, **options):
        opened.append(1)
        super().__init__(*arguments, **options)
loader.Session = Session

def memory(which):  # in MB; what getrusage gives would count the process that started this one
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(which)) / 1024

def start_anew():
    Path("/proc/self/clear_refs").write_text("5")  # the peak becomes what is held now
    return memory("VmRSS"), time.perf_counter()

Generator.load(sys.argv[1], device="cpu").sample(1)  # the runtime's own memory is not the file's
for path in sorted(Path(sys.argv[2]).iterdir()):
    opened.clear()
    before, start = start_anew()
    try:
        gen = Generator.load(path, device="cpu", trust=True)
        outcome = "loaded"
    except ModelError as error:
        outcome = "refused" if len(str(error).splitlines()) == 1 and len(str(error)) < 600 else repr(error)
    except BaseException as error:
        outcome = repr(error)
    if outcome == "loaded":
        try:
            gen.sample(2)
        except Exception as error:
            outcome = "loaded, gives no pictures"
    size = path.stat().st_size / 2**20 if path.is_file() else 0
    line = {"file": path.name, "outcome": outcome, "opened": len(opened), "size": size,
            "seconds": time.perf_counter() - start, "grown": memory("VmHWM") - before}
    print(json.dumps(line), flush=True)
before, _ = start_anew()
b"x" * 300_000_000
print(json.dumps({"control": memory("VmHWM") - before}))
"""


needs_proc = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")


def load_all(folder: Path, tmp_path: Path) -> list[dict[str, object]]:
    good = tmp_path / "good.onnx"
    good.write_bytes(hostile.base().SerializeToString())
    command = [sys.executable, "-c", LOADER, str(good), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    lines: list[dict[str, object]] = [json.loads(line) for line in done.stdout.splitlines()]
    last = lines[-1].get("file") if lines else "none"
    assert done.returncode == 0, f"ended with {done.returncode} after {last}: {done.stderr[-2000:]}"
    control = lines.pop()["control"]
    assert float(str(control)) > 250  # what is measured does show what is taken
    return lines


def write_all(cases: list[hostile.Case], folder: Path) -> dict[str, str]:
    folder.mkdir()
    names = {f"{index:04}.onnx": name for index, (name, _) in enumerate(cases)}
    for file, (_, body) in zip(names, cases, strict=True):
        (folder / file).write_bytes(body)
    return names


@needs_proc
def test_hostile_files_are_refused_before_the_runtime_in_little_time_and_memory(tmp_path: Path) -> None:
    cases = list(hostile.must_refuse())
    names = write_all(cases, tmp_path / "files")
    assert len(cases) >= 400
    assert len({body for _, body in cases}) > 0.95 * len(cases)
    lines = load_all(tmp_path / "files", tmp_path)
    assert len(lines) == len(cases)
    wrong = [(names[str(line["file"])], line) for line in lines if line["outcome"] != "refused"]
    assert not wrong
    assert not [names[str(line["file"])] for line in lines if line["opened"]]
    slow = {names[str(line["file"])]: line["seconds"] for line in lines if float(str(line["seconds"])) > 5}
    assert not slow
    large = {
        names[str(line["file"])]: line["grown"]
        for line in lines
        if float(str(line["grown"])) > 200 + float(str(line["size"]))
    }
    assert not large


@needs_proc
def test_what_barely_passes_costs_the_runtime_little(tmp_path: Path) -> None:
    cases = list(hostile.barely())
    write_all(cases, tmp_path / "files")
    lines = load_all(tmp_path / "files", tmp_path)
    assert [line["outcome"] for line in lines] == ["loaded"] * len(cases)
    assert max(float(str(line["seconds"])) for line in lines) < 5
    assert max(float(str(line["grown"])) for line in lines) < 200


@needs_proc
def test_turned_bits_end_in_a_refusal_or_in_a_harmless_model(tmp_path: Path) -> None:
    cases = list(hostile.flips())
    write_all(cases, tmp_path / "files")
    lines = load_all(tmp_path / "files", tmp_path)
    outcomes = [line["outcome"] for line in lines]
    assert set(outcomes) <= {"refused", "loaded", "loaded, gives no pictures"}
    assert outcomes.count("refused") > 0.2 * len(cases)  # the rest turned weights or free texts
    assert max(float(str(line["seconds"])) for line in lines) < 5
    assert max(float(str(line["grown"])) for line in lines) < 200


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop.onnx").symlink_to("loop.onnx")
    os.mkfifo(tmp_path / "pipe.onnx")
    with (tmp_path / "vast.onnx").open("wb") as file:
        file.truncate(catalog.MAX_BYTES + 1)
    for name in ("loop.onnx", "pipe.onnx", "vast.onnx", "gone.onnx"):
        with pytest.raises(ModelError):
            Generator.load(tmp_path / name)
    for device in ("/dev/zero", "/dev/stdin", "/proc/self/mem"):
        with pytest.raises(ModelError):
            Generator.load(device)


def test_the_size_is_looked_at_before_a_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "big.onnx"
    path.write_bytes(bytes(2000))
    monkeypatch.setattr(catalog, "MAX_BYTES", 1999)
    with pytest.raises(ModelError, match="too large"):
        catalog.read(path)


def test_the_runtime_gets_the_very_bytes_that_were_vetted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(hostile.base().SerializeToString())
    vetted: list[bytes] = []
    real = safety.check

    def check(model: bytes, source: str) -> safety.Summary:
        summary = real(model, source)
        vetted.append(model)
        path.write_bytes(b"changed behind the check's back")
        return summary

    monkeypatch.setattr(safety, "check", check)
    verdicts.forget()
    opened: list[bytes] = []
    from gan_infer.modelfile import loader

    class Session(loader.Session):
        def __init__(self, model: bytes, **options: object) -> None:
            opened.append(model)
            super().__init__(model, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(loader, "Session", Session)
    Generator.load(path, device="cpu").sample(1)
    assert opened[0] is vetted[0]


@pytest.mark.parametrize("kind", [CONDITIONAL, UNCONDITIONAL], ids=str)
def test_an_exported_file_passes_and_is_summed_up(model_file: Models, kind: Kind) -> None:
    body = model_file(kind).read_bytes()
    summary = safety.check(body, "it")
    assert summary.inputs["latent"] == (1, (None, kind.latent_dim))
    assert ("label" in summary.inputs) == bool(kind.classes)
    assert summary.outputs["image"] == (2, (None, kind.height, kind.width, kind.channels))
    assert set(summary.metadata) == {"ganforge"}
    model = onnx.load_from_string(body)
    assert summary.operators == {node.op_type for node in model.graph.node}
    assert summary.parameters == sum(int(np.prod(item.dims)) for item in model.graph.initializer)


def test_vetting_copies_no_weights() -> None:
    tensors = [numpy_helper.from_array(np.ones(1_000_000, np.float32), f"t{i}") for i in range(12)]
    body = hostile.changed(lambda model: model.graph.initializer.extend(tensors))
    safety.check(body, "it")
    tracemalloc.start()
    try:
        safety.check(body, "it")
        assert tracemalloc.get_traced_memory()[1] < 2**20 < len(body) / 40
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", shipped_models())
def test_every_byte_cut_off_a_shipped_model_is_missed(name: str) -> None:
    body = shipped_models()[name].read_bytes()
    for at in (1, 2, 100, len(body) // 3, len(body) // 2, len(body) - 1):
        with pytest.raises(ModelError, match="refused unopened"):
            safety.check(body[:at], name)


def test_info_on_a_hostile_file_says_so_in_one_line(command_line: CommandLine, tmp_path: Path) -> None:
    from gan_infer import cli

    run = command_line("gan-infer", cli.main)
    for name, body in list(hostile.externals())[:9]:
        (tmp_path / "work" / "bad.onnx").write_bytes(body)
        code, out, err = run("info", "--model", "bad.onnx")
        assert (code, out, err.count("\n")) == (1, "", 1), name
        assert "bad.onnx is refused unopened" in err


def test_messages_are_safe_to_print() -> None:
    body = hostile.with_nodes(hostile.node("\x1b[31m\nevil", "latent", "a"))
    with pytest.raises(ModelError) as caught:
        safety.check(body, "it")
    assert str(caught.value).isprintable()


# The reader of the wire format, against the protobuf library.


@settings(max_examples=150)
@given(
    st.builds(
        dict,
        ints=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=9),
        floats=st.lists(st.floats(width=32, allow_nan=False), max_size=9),
        text=st.text(max_size=20),
        number=st.integers(-(2**63), 2**63 - 1),
    )
)
def test_attributes_read_as_the_protobuf_library_wrote_them(values: dict[str, object]) -> None:
    one = onnx.AttributeProto(
        name=str(values["text"]), i=values["number"], ints=values["ints"], floats=values["floats"]
    )  # type: ignore[arg-type]
    schema = {
        1: ("name", protobuf.TEXT),
        3: ("i", protobuf.INT),
        7: ("floats", protobuf.FLOATS),
        8: ("ints", protobuf.INTS),
    }
    found = protobuf.Reader(1000).read(memoryview(one.SerializeToString()), schema, "it")
    assert found["name"] == values["text"]
    assert found["i"] == values["number"]
    assert found["ints"] == values["ints"]
    assert np.array_equal(found["floats"], np.array(values["floats"], np.float32))


@settings(max_examples=150)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for prefix in (b"", b"\x08\x08"):
        with pytest.raises(ModelError):
            safety.check(prefix + body, "it")


@settings(max_examples=150)
@given(st.data())
def test_what_the_protobuf_library_refuses_is_refused(data: st.DataObject) -> None:
    body = bytearray(hostile.base().SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        model = onnx.load_from_string(bytes(body))
    except Exception:
        with pytest.raises(ModelError):
            safety.check(bytes(body), "it")
        return
    try:
        found = graph.read(bytes(body))
    except protobuf.RefusedError:
        return
    # Where both read it, they read the same.
    assert [node.op for node in found.nodes] == [node.op_type for node in model.graph.node]
    assert [node.inputs for node in found.nodes] == [tuple(node.input) for node in model.graph.node]
    assert [t.name for t in found.initializers] == [t.name for t in model.graph.initializer]
    assert found.metadata == {item.key: item.value for item in model.metadata_props}


def test_a_field_budget_holds_over_calls() -> None:
    reader = protobuf.Reader(10)
    body = memoryview(b"\x08\x01")
    schema = {1: ("number", protobuf.INT)}
    for _ in range(10):
        reader.read(body, schema, "it")
    with pytest.raises(protobuf.RefusedError, match="more fields"):
        reader.read(body, schema, "it")


def test_a_model_may_be_of_any_operator_set_that_is_taken() -> None:
    for version in range(13, 22):
        model = hostile.base()
        model.opset_import[0].version = version
        summary = safety.check(model.SerializeToString(), "it")
        assert summary.opset == version
    model.opset_import[0].domain = "ai.onnx"
    safety.check(model.SerializeToString(), "it")


def test_graphs_that_list_their_tensors_as_inputs_are_taken() -> None:
    model = hostile.base()
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    assert set(safety.check(model.SerializeToString(), "it").inputs) == {"latent", "label"}


def test_the_conditional_model_still_loads(model_file: Models) -> None:
    assert Generator.load(model_file(CONDITIONAL), device="cpu").sample(1, 3, 0).shape == (1, 28, 28, 1)


def reckoned(*nodes: onnx.NodeProto, more: int = 0, **tensors: object) -> bytes:
    """Return the base model with a tensor whose size, `n`, operators reckon from the batch, `b`."""
    chain = [hostile.node("Tanh", f"t{i}", f"t{i + 1}") for i in range(more)]
    return hostile.with_nodes(
        hostile.node("Shape", "latent", "sides"),
        hostile.node("Gather", "sides first", "b"),
        *nodes,
        hostile.node("ConstantOfShape", "n", "t0"),
        *chain,
        tensors={"first": hostile.ints(0), "big": hostile.ints(10**6), "one": hostile.ints(1), **tensors},
    )


@pytest.mark.parametrize("more", [0, 1500])
@pytest.mark.parametrize(
    "nodes",
    [
        [hostile.node("Equal", "b odd", "is"), hostile.node("Where", "is big one", "n")],
        [hostile.node("Gather", "table33 b", "n")],
        [
            hostile.node("Mul", "b b", "b2"),
            hostile.node("Mul", "b2 b2", "b4"),
            hostile.node("Mul", "b4 b", "n"),
        ],
    ],
    ids=["one batch alone", "a table", "a power"],
)
def test_sizes_that_outgrow_the_batch_are_refused(nodes: list[onnx.NodeProto], more: int) -> None:
    table = np.ones(65, np.int64)
    table[33] = 60_000_000
    huge = {"odd": hostile.ints(17), "table33": table, "big": hostile.ints(60_000_000)}
    with pytest.raises(ModelError, match="that the file does not fix"):
        safety.check(reckoned(*nodes, more=more, **huge), "it")


def test_sizes_that_grow_with_the_batch_are_taken() -> None:
    safety.check(reckoned(hostile.node("Mul", "b odd", "n"), odd=hostile.ints(17), more=1500), "it")


def test_broadcasting_the_batch_against_itself_is_refused() -> None:
    shapes = {f"s{i}": hostile.ints(*(-1 if i == j else 1 for j in range(5))) for i in range(5)}
    nodes = [
        hostile.node("Slice", "latent low0 high0 axis", "c"),
        *(hostile.node("Reshape", f"c s{i}", f"r{i}") for i in range(5)),
        hostile.node("Add", "r0 r1", "a"),
    ]
    ends = {"low0": hostile.ints(0), "high0": hostile.ints(1), "axis": hostile.ints(1)}
    with pytest.raises(ModelError, match="grows faster than the batch"):
        safety.check(hostile.with_nodes(*nodes, tensors={**shapes, **ends}), "it")


def test_what_is_needed_at_once_is_bounded() -> None:
    grown = [hostile.node("Slice", "latent low0 high0", "one"), hostile.node("Expand", "one size", "a")]
    grown += [hostile.node("Tanh", "a", f"b{i}") for i in range(9)]
    grown.append(hostile.node("Concat", " ".join(f"b{i}" for i in range(9)), "c", axis=0))
    tensors = {"low0": hostile.ints(0), "high0": hostile.ints(1), "size": hostile.ints(2**22, 4)}
    with pytest.raises(ModelError, match="at once for a picture"):
        safety.check(hostile.with_nodes(*grown, tensors=tensors), "it")


def test_the_sdk_runs_no_batch_that_was_not_vetted(monkeypatch: pytest.MonkeyPatch) -> None:
    from gan_infer.modelfile.safety import operator
    from gan_infer.models import base as models

    assert models.BATCH == operator.MAX_BATCH
    counts = count_rows(monkeypatch)
    generator = Generator.load("digits", device="cpu")
    (batch,) = generator.iter_batches(130, 4, 0, batch_size=200)
    assert counts == [64, 64, 2]
    assert batch.tobytes() == generator.sample(130, 4, 0).tobytes()


@pytest.mark.parametrize(
    "text",
    [
        '"directions": [{"name": "d", "vector": [1' + "0" * 400 + ", 0, 0, 0]}]",
        '"name": "\\ud800"',
        '"truncation": NaN',
    ],
)
def test_bad_metadata_are_refused_before_the_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    from gan_infer.modelfile import loader

    monkeypatch.setattr(loader, "Session", None)
    model = hostile.base()
    whole = model.metadata_props[0].value
    model.metadata_props[0].value = whole[:-1] + f", {text}}}"
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="metadata"):
        Generator.load(tmp_path / "model.onnx")
