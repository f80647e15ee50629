"""Files that are not known are run once in a process with limits, and what was found is kept."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import multiprocessing
import os
import pickle
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from gan_infer import Critic, Generator, ModelError, OptionError
from gan_infer.conditions.spec import Free
from gan_infer.modelfile import admission, catalog, safety
from gan_infer.modelfile.metadata import KEY
from gan_infer.modelfile.trial import host, verdicts
from gan_train.export import critic as critics
from gan_train.export import write
from tests import free_graphs, hostile
from tests.conftest import (
    TINY,
    UNCONDITIONAL,
    Kind,
    count_rows,
    make_critic,
    make_critic_metadata,
    make_metadata,
    make_network,
    random_pictures,
)

Models = Callable[[Kind], Path]

linux = pytest.mark.skipif(sys.platform != "linux", reason="this system limits no process")
ORDER = host.Request([("x", "<f4", (None, 1))], ["y"], [], batch=64, grows=True, bytes_alone=8)


def model(nodes: list[onnx.NodeProto], **constants: Any) -> bytes:
    """Return a model from x, float32 [n, 1], to y."""
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "graph", [x], [y], tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(made.SerializeToString())


def wide(elements: int) -> bytes:
    """Return a model of a file of four bytes times `elements`."""
    nodes = [
        helper.make_node("MatMul", ["x", "row"], ["wide"]),
        helper.make_node("ReduceSum", ["wide", "last"], ["y"]),
    ]
    return model(nodes, row=np.ones((1, elements), np.float32), last=np.array([1]))


def expanding(elements: int) -> bytes:
    """Return a small model that takes four bytes times `elements` for a picture."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["batch"]),
        helper.make_node("Concat", ["batch", "side"], ["sides"], axis=0),
        helper.make_node("Expand", ["x", "sides"], ["wide"]),
        helper.make_node("ReduceSum", ["wide", "last"], ["y"]),
    ]
    return model(nodes, zero=np.array([0]), side=np.array([elements]), last=np.array([1]))


def held_while_opening(elements: int) -> bytes:
    """Return a small model of which the runtime makes so many floats on loading."""
    nodes = [
        helper.make_node("Expand", ["one", "side"], ["ones"]),
        helper.make_node("ReduceSum", ["ones", "first"], ["sum"]),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    return model(nodes, one=np.ones(1, np.float32), side=np.array([elements]), first=np.array([0]))


def slow(times: int) -> bytes:
    """Return a model that multiplies matrices of 1,024 x 1,024 so many times."""
    names = ["large", *(f"large{index}" for index in range(times))]
    nodes = [helper.make_node("Mul", ["x", "matrix"], ["large"])]
    nodes += [
        helper.make_node("MatMul", [before, "matrix"], [after]) for before, after in itertools.pairwise(names)
    ]
    nodes.append(helper.make_node("ReduceSum", [names[-1]], ["y"]))
    return model(nodes, matrix=np.full((1024, 1024), 1e-3, np.float32))


def never() -> None:
    raise AssertionError("the limits do not hold here")


@pytest.fixture
def unknown(model_file: Models, tmp_path: Path) -> Path:
    """Return a file of ours that no machine knows."""
    made = onnx.load(model_file(UNCONDITIONAL))
    made.producer_version = tmp_path.name + os.urandom(8).hex()
    path = tmp_path / "unknown.onnx"
    onnx.save(made, path)
    return path


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by one with each trial."""
    found: list[int] = []
    run = host.run

    def count(*arguments: Any) -> host.Outcome:
        found.append(1)
        return run(*arguments)

    monkeypatch.setattr(host, "run", count)
    return found


def allowed_batch(generator: Generator) -> int:
    """Return how many pictures the verdict on a model file allows in one call."""
    verdict = admission.find_verdict(generator.sha256)
    assert verdict is not None
    return verdict.batch


def mixing(elements: int) -> bytes:
    """Return a generator that takes much for weights of classes, and little where they are left out."""
    made = hostile.base()
    weights = helper.make_tensor_value_info("label_weights", TensorProto.FLOAT, ["mixes", 3])
    made.graph.input.append(weights)
    nodes = [
        hostile.node("ReduceMean", "label_weights last", "mean", keepdims=1),
        hostile.node("Expand", "mean side", "wide"),
        hostile.node("Tanh", "wide", "wider"),
        hostile.node("ReduceMax", "wider last", "most", keepdims=1),
        hostile.node("Mul", "most nothing", "zero"),
        hostile.node("Add", "latent zero", "moved"),
    ]
    mixed = next(each for each in made.graph.node if each.op_type == "Add")
    mixed.input[0] = "moved"
    own = list(made.graph.node)
    del made.graph.node[:]
    made.graph.node.extend([*nodes, *own])
    tensors = {
        "label_weights": np.zeros((1, 3), np.float32),
        "last": hostile.ints(1),
        "side": hostile.ints(1, elements),
        "nothing": np.float32(0),
    }
    made.graph.initializer.extend(numpy_helper.from_array(each, name) for name, each in tensors.items())
    return made.SerializeToString()


# Limits.


@linux
def test_a_small_file_is_tried_up_to_the_largest_batch() -> None:
    found = host.run(expanding(1000), ORDER, never)
    assert (found.batch, found.limited) == (64, True)
    assert found.drawn[0].values is not None
    assert found.drawn[0].values.shape == (1, 1)


@linux
def test_what_only_mixes_of_classes_take_is_tried() -> None:
    assert allowed_batch(Generator.load(mixing(2**10), device="cpu")) == 64
    large = mixing(2**20)
    most = admission.largest_batch(safety.check(large, "it"))
    assert allowed_batch(Generator.load(large, device="cpu")) <= most // 2


@linux
def test_what_the_second_run_of_a_batch_takes_counts() -> None:
    # 160 MiB for 64 pictures; as much again is laid out for all at once at the second run.
    assert host.run(expanding(10 * 2**16), ORDER, never).batch < 64


@linux
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (expanding(2**27), "takes over 256 MiB of memory for a picture"),
        (held_while_opening(2**27), "takes over 256 MiB of memory"),
        (b"no model", "cannot be opened as an ONNX model"),
        (model([helper.make_node("Reshape", ["x", "two"], ["y"])], two=np.array([2])), "cannot be run"),
    ],
)
def test_what_exceeds_the_limits_is_told(body: bytes, reason: str) -> None:
    with pytest.raises(host.FailedError, match=reason):
        host.run(body, ORDER, never)


@linux
def test_a_slow_picture_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "PICTURE_S", 0.25)
    with pytest.raises(host.FailedError, match="of the processor for a picture"):
        host.run(slow(400), ORDER, never)


@linux
def test_work_out_of_proportion_to_a_files_size_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    assert host.run(slow(1), ORDER, never).picture_s < host.PICTURE_S
    monkeypatch.setattr(host, "MANY_S", 0.5)
    monkeypatch.setattr(host, "MANY_S_PER_MIB", 0.01)
    with pytest.raises(host.FailedError, match="for a picture, too long for a file of its size"):
        host.run(slow(20), ORDER, never)


@linux
def test_of_several_outputs_the_largest_alone_is_granted() -> None:
    nodes = [
        helper.make_node("Expand", ["x", "sides"], ["y"]),
        *(helper.make_node("Add", ["y", "x"], [f"y{index}"]) for index in range(7)),
    ]
    graph = onnx.load_from_string(model(nodes, sides=np.array([1, 2**20])))
    for index in range(7):
        graph.graph.output.append(helper.make_tensor_value_info(f"y{index}", TensorProto.FLOAT, None))
    names = [item.name for item in graph.graph.output]
    order = dataclasses.replace(ORDER, outputs=names, bytes_alone=8 * 2**22)
    found = host.run(graph.SerializeToString(), order, never)
    alone = host.run(graph.SerializeToString(), dataclasses.replace(order, outputs=["y"]), never)
    assert found.batch <= alone.batch
    assert found.memory <= host.ALLOWANCE + order.bytes_alone + 64 * 2**22 + 2**20


@linux
def test_a_pipe_in_a_verdicts_place_is_not_waited_for(unknown: Path, trials: list[int]) -> None:
    Generator.load(unknown, device="cpu")
    verdicts.forget()
    path = verdicts.folder() / f"{catalog.sha256_of(unknown.read_bytes())}.json"
    path.unlink()
    os.mkfifo(path)
    Generator.load(unknown, device="cpu")
    assert len(trials) == 2


@linux
def test_a_runtime_that_crashes_takes_the_child_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    crash = "import os, signal\nchild.Runner.run = lambda *_: os.kill(os.getpid(), signal.SIGSEGV)\n"
    monkeypatch.setattr(host, "START", host.START.replace("child.main()", crash + "child.main()"))
    with pytest.raises(host.FailedError, match="ended the process that tried it, by SIGSEGV, on drawing"):
        host.run(expanding(10), ORDER, never)


@linux
def test_the_clock_on_the_wall_ends_a_trial_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "TRIAL_S", 0.3)
    with pytest.raises(host.FailedError, match=r"not done within|of the processor"):
        host.run(slow(1000), ORDER, never)


@linux
def test_what_a_file_takes_for_its_own_bytes_is_not_held_against_it() -> None:
    assert host.run(wide(30_000_000), ORDER, never).batch >= 1  # 120 MB; a row of it is as much


@linux
def test_a_batch_that_does_not_fit_is_halved_until_it_does() -> None:
    found = host.run(expanding(5_000_000), ORDER, never)  # 20 MB a picture
    assert found.batch in (4, 8)


@linux
def test_where_sizes_do_not_only_grow_every_batch_is_tried() -> None:
    order = dataclasses.replace(ORDER, grows=False, batch=5)
    assert host.run(expanding(1000), order, never).batch == 5
    assert 1 < host.run(expanding(10_000_000), order, never).batch < 5  # 40 MB a picture


def test_a_child_leaves_no_zombie() -> None:
    host.run(expanding(10), ORDER, lambda: None)
    with pytest.raises(host.FailedError):
        host.run(b"no model", ORDER, lambda: None)
    ended = 0
    if hasattr(os, "WNOHANG"):
        with contextlib.suppress(ChildProcessError):  # other tests may have left children that live
            ended, _ = os.waitpid(-1, os.WNOHANG)
    assert ended == 0


@linux
def test_the_message_is_one_line_and_names_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "wide.onnx"
    path.write_bytes(held_while_opening(2**27))
    body = path.read_bytes()
    vetted = dataclasses.replace(safety.check(wide(10), "it"), outputs={"y": (1, ())})
    with pytest.raises(ModelError) as caught:
        admission.decide(body, catalog.sha256_of(body), str(path), vetted, None)
    assert "256 MiB" in str(caught.value)
    assert "trust=True (on the command line: --trust)" in str(caught.value)
    assert "\n" not in str(caught.value)


# Sides that are free within bounds: pictures of several sides are drawn, and batches of the largest.


def free_model(*nodes: onnx.NodeProto, **constants: Any) -> bytes:
    """Return a model of pictures in bytes, [n, h, 1, 1], whose height is known as `h`."""
    shape = helper.make_node("Shape", ["x"], ["shape"])
    height = helper.make_node("Gather", ["shape", "place"], ["h"])
    made = onnx.load_from_string(model([shape, height, *nodes], place=np.array([1]), **constants))
    made.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", TensorProto.UINT8, ["n", "h", 1, 1]))
    return bytes(made.SerializeToString())


def free_order(low: int, high: int, multiple: int = 1, batch: int = 64) -> host.Request:
    inputs: list[host.Input] = [("x", "|u1", (None, Free(low, high, multiple), 1, 1))]
    return dataclasses.replace(ORDER, inputs=inputs, batch=batch)


def expanding_by(*reckoned: onnx.NodeProto, **constants: Any) -> bytes:
    """Return a model that makes 4 MiB `size` times for each picture."""
    nodes = [
        *reckoned,
        helper.make_node("Cast", ["x"], ["floats"], to=1),
        helper.make_node("ReduceMean", ["floats", "all"], ["mean"], keepdims=1),
        helper.make_node("Concat", ["one", "one", "size", "mib"], ["sides"], axis=0),
        helper.make_node("Expand", ["mean", "sides"], ["wide"]),
        helper.make_node("ReduceSum", ["wide", "all"], ["y"]),
    ]
    sizes = {"all": np.array([1, 2, 3]), "one": np.array([1]), "mib": np.array([2**20])}
    made = onnx.load_from_string(free_model(*nodes, **sizes, **constants))
    made.opset_import[0].version = 18
    return bytes(made.SerializeToString())


@linux
def test_pictures_of_several_sides_are_drawn_and_batches_of_the_largest() -> None:
    size = helper.make_node("Identity", ["h"], ["size"])  # 4 MiB a row
    large = host.run(expanding_by(size), free_order(1, 16), never)
    small = host.run(expanding_by(size), free_order(1, 2), never)
    assert 1 <= large.batch <= small.batch / 2
    assert large.drawn == ()
    with pytest.raises(host.FailedError, match="256 MiB of memory for a picture"):
        host.run(expanding_by(size), free_order(1, 128), never)


@linux
def test_a_smaller_side_that_takes_more_than_the_largest_is_told() -> None:
    less = helper.make_node("Sub", ["many", "h"], ["size"])
    assert host.run(expanding_by(less, many=np.array([21])), free_order(15, 20), never).batch >= 1
    with pytest.raises(host.FailedError, match="256 MiB of memory for a picture"):
        host.run(expanding_by(less, many=np.array([141])), free_order(1, 140), never)


@linux
@pytest.mark.parametrize(("low", "high", "multiple"), [(1, 64, 4), (8, 64, 4), (4, 68, 4)])
def test_sides_at_which_a_file_cannot_be_run_are_told(low: int, high: int, multiple: int) -> None:
    floats = helper.make_node("Cast", ["x"], ["floats"], to=1)
    rows = helper.make_node("Reshape", ["floats", "rows"], ["y"])
    eights = free_model(floats, rows, rows=np.array([-1, 8]))  # 64 are; 4, 36 and 68 are not
    assert host.run(eights, free_order(8, 64, 8, batch=8), never).batch == 8
    with pytest.raises(host.FailedError, match="cannot be run"):
        host.run(eights, free_order(low, high, multiple), never)


def test_a_vetted_file_of_free_sides_is_tried_once_and_known_then(trials: list[int]) -> None:
    nodes = [*free_graphs.planes(), hostile.node("Resize", "x  f", "y", mode="nearest")]
    body = free_graphs.model(nodes, {"f": np.array([1, 1, 2, 2], np.float32)})
    vetted = safety.check(body, "it")
    sha256 = catalog.sha256_of(body)
    verdict = admission.decide(body, sha256, "it", vetted, None)
    assert verdict.batch == 64
    verdicts.forget()
    assert admission.decide(body, sha256, "it", vetted, None) == verdict
    assert len(trials) == 1


# Verdicts.


def test_a_file_is_tried_once(unknown: Path, trials: list[int]) -> None:
    pictures = Generator.load(unknown, device="cpu").sample(3, seed=1)
    verdicts.forget()  # now it is the kept verdict that is found
    assert np.array_equal(Generator.load(unknown, device="cpu").sample(3, seed=1), pictures)
    assert len(trials) == 1
    kept = json.loads((verdicts.folder() / f"{catalog.sha256_of(unknown.read_bytes())}.json").read_text())
    assert kept["batch"] == 64
    assert kept["golden"] == "same"


OTHER: list[Any] = [
    {"rules": 0},
    {"runtime": "1.0"},
    {"sha256": "0" * 64},
    {"batch": 0},
    {"batch": "64"},
    {"batch": True},
    {"note": 3},
    {"picture_s": None},
    None,
    [],
]


def test_a_verdict_of_other_rules_or_a_damaged_one_is_passed_over(unknown: Path, trials: list[int]) -> None:
    Generator.load(unknown, device="cpu")
    path = verdicts.folder() / f"{catalog.sha256_of(unknown.read_bytes())}.json"
    kept = json.loads(path.read_text())
    for number, change in enumerate(OTHER, 2):
        verdicts.forget()
        path.write_text(json.dumps({**kept, **change} if isinstance(change, dict) else change))
        Generator.load(unknown, device="cpu")
        assert len(trials) == number, change


@pytest.mark.skipif(os.name != "posix", reason="files have no such owners")
def test_a_verdict_that_anybody_may_write_is_passed_over(unknown: Path, trials: list[int]) -> None:
    Generator.load(unknown, device="cpu")
    verdicts.forget()
    (verdicts.folder() / f"{catalog.sha256_of(unknown.read_bytes())}.json").chmod(0o666)
    Generator.load(unknown, device="cpu")
    assert len(trials) == 2


def test_shipped_models_are_known_by_any_path(trials: list[int], tmp_path: Path) -> None:
    Generator.load("digits", device="cpu")
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(catalog.find("digits").read_bytes())
    Generator.load(copy, device="cpu")
    Generator.load(copy.read_bytes(), device="cpu")
    assert not trials


def test_what_this_machine_exported_is_known(tmp_path: Path, trials: list[int]) -> None:
    verdicts.forget()  # of the same file, which another test may have exported
    write(make_network(TINY), make_metadata(TINY), tmp_path / "own.onnx")
    pictures = random_pictures(TINY, 64)
    critics.write(make_critic(TINY), make_critic_metadata(TINY), pictures, tmp_path / "critic.onnx")
    assert len(trials) == 2
    verdicts.forget()
    Generator.load(tmp_path / "own.onnx", device="cpu")
    Critic.load(tmp_path / "critic.onnx", device="cpu")
    assert len(trials) == 2


def test_an_export_that_others_will_refuse_is_written_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> host.Outcome:
        raise host.FailedError("takes too much")

    verdicts.forget()
    monkeypatch.setattr(host, "run", fail)
    said: list[str] = []
    write(make_network(TINY), make_metadata(TINY), tmp_path / "own.onnx", said.append)
    assert (tmp_path / "own.onnx").is_file()
    assert len(said) == 1
    assert str(tmp_path / "own.onnx") in said[0]
    assert "it takes too much" in said[0]


def test_without_a_place_to_keep_verdicts_each_process_tries_once_and_says_so(
    unknown: Path, trials: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GANFORGE_HOME", str(tmp_path / "file" / "home"))
    assert "cannot be kept" in Generator.load(unknown, device="cpu").note
    assert allowed_batch(Generator.load(unknown, device="cpu")) == 64
    assert len(trials) == 1


def test_a_refused_file_is_not_kept(unknown: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> host.Outcome:
        raise host.FailedError("takes too much")

    with monkeypatch.context() as patched:
        patched.setattr(host, "run", fail)
        with pytest.raises(ModelError, match="it takes too much"):
            Generator.load(unknown, device="cpu")
        assert Generator.load(unknown, device="cpu", trust=True).sample(1, seed=0).size
        with pytest.raises(ModelError, match="it takes too much"):  # trust is not kept either
            Generator.load(unknown, device="cpu")
    Generator.load(unknown, device="cpu")


def test_calls_take_no_larger_batch_than_the_trial_did(
    unknown: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = host.run
    monkeypatch.setattr(host, "run", lambda *given: dataclasses.replace(run(*given), batch=3))
    sizes = count_rows(monkeypatch)
    drawn = Generator.load(unknown, device="cpu").sample(8, seed=0)
    assert sizes == [3, 3, 2]
    trusted = Generator.load(unknown, device="cpu", trust=True)
    assert np.array_equal(drawn, trusted.sample(8, seed=0))


# Where no child can be had.


@pytest.mark.parametrize("change", ["frozen", "empty", "not python", "gone", "does not start"])
def test_without_a_child_the_stricter_bounds_hold(
    unknown: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    strictly = []
    check = safety.check

    def watch(*given: Any, strict: bool = False) -> safety.Summary:
        strictly.append(strict)
        return check(*given, strict=strict)

    monkeypatch.setattr(safety, "check", watch)
    if change == "frozen":
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    elif change == "does not start":
        monkeypatch.setattr(host, "START", "import no_such_module")
    else:
        paths = {"empty": "", "not python": "/bin/ls", "gone": "/nowhere/python3"}
        monkeypatch.setattr(sys, "executable", paths[change])
    assert Generator.load(unknown, device="cpu").sample(1, seed=0).size
    assert strictly == [False, True]
    assert not verdicts.folder().exists()  # where it can be tried one day, it will be


def test_without_a_child_golden_pictures_are_compared_here(
    unknown: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    made = onnx.load(unknown)
    told = json.loads(made.metadata_props[0].value)
    for each in told["golden"]:
        each["sha256"] = "0" * 64
        del each["png"]
    helper.set_model_props(made, {KEY: json.dumps(told)})
    assert "differ" in Generator.load(made.SerializeToString(), device="cpu").note
    assert Generator.load(unknown, device="cpu").note == Generator.load("digits", device="cpu").note


# Threads, processes, interruptions.


def test_threads_that_load_one_file_try_it_once(unknown: Path, trials: list[int]) -> None:
    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(lambda _: Generator.load(unknown, device="cpu"), range(8)))
    pictures = [generator.sample(2, seed=3).tobytes() for generator in loaded]
    assert len(set(pictures)) == 1
    assert len(trials) == 1


def first_picture(path: str) -> bytes:
    return Generator.load(path, device="cpu").sample(1, seed=5).tobytes()


def test_a_process_that_was_spawned_tries_a_file_too(unknown: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = set(pool.map(first_picture, [str(unknown)] * 2))
    assert found == {first_picture(str(unknown))}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes do not fork here")
def test_a_forked_child_is_not_held_up_by_a_trial_of_its_parent(
    unknown: Path, run_script: Callable[..., str]
) -> None:
    code = f"""
import os, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from gan_infer import Generator
from gan_infer.modelfile import foreign, safety
from gan_infer.modelfile.trial import host
Generator.load("digits").sample(1)  # imports what a fork must not come between
load = lambda: Generator.load({str(unknown)!r}, device="cpu")
thread = threading.Thread(target=load)
thread.start()
time.sleep(0.1)
child = os.fork()
if child == 0:
    os._exit(0 if load().sample(1, seed=0).size else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
thread.join()
"""
    assert run_script(code).strip() == "0"


@linux
def test_an_interruption_ends_the_trial(run_script: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "slow.onnx"
    path.write_bytes(slow(300))
    code = f"""
import os, pathlib, signal, threading
from gan_infer.modelfile.trial import host
order = host.Request([("x", "<f4", (None, 1))], ["y"], [], 64, True, 8)
hear = host._Talk.hear
def interrupt(self):
    told = hear(self)
    if "opened" in told:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    return told
host._Talk.hear = interrupt
try:
    host.run(pathlib.Path({str(path)!r}).read_bytes(), order, lambda: None)
except KeyboardInterrupt:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        print("gone")
"""
    assert run_script(code).strip() == "gone"


# Trust.


def test_trust_is_pickled(unknown: Path, trials: list[int]) -> None:
    generator = pickle.loads(pickle.dumps(Generator.load(unknown, device="cpu", trust=True)))
    assert generator.sample(1, seed=0).size
    assert not trials
    with pytest.raises(OptionError, match="trust"):
        Generator.load(unknown, trust="yes")  # type: ignore[arg-type]
