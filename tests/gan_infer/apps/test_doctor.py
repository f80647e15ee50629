from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from gan_infer import Generator, cli
from gan_infer.apps import doctor
from gan_infer.apps.doctor import Finding
from gan_infer.modelfile import catalog, safety
from gan_infer.modelfile.trial import host, verdicts
from gan_infer.runtime import cpu_count, devices, session
from tests import hostile
from tests.conftest import CommandLine

VERSIONS = {"onnxruntime": "", "onnxruntime-gpu": "9.9", "numpy": "2", "Pillow": "13", "click": "8"}
HAS_GPU = not devices.driver_obstacle()


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the installed versions as the doctor sees them, to be changed."""
    seen = dict(VERSIONS)

    def version(name: str) -> str:
        if not seen.get(name):
            raise metadata.PackageNotFoundError(name)
        return seen[name]

    monkeypatch.setattr(metadata, "version", version)
    return seen


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, versions: dict[str, str]) -> Callable[..., dict[str, Finding]]:
    """Return a function that examines a machine with an NVIDIA GPU, or none, and such providers."""

    def examine(
        started: dict[str, str], driver: str = "", missing: tuple[str, ...] = ()
    ) -> dict[str, Finding]:
        monkeypatch.setattr(session, "describe_runtime", lambda: ("9.9", tuple(started)))
        monkeypatch.setattr(doctor, "try_provider", started.__getitem__)
        monkeypatch.setattr(devices, "driver_obstacle", lambda index=0: driver)
        monkeypatch.setattr(devices, "cuda_libraries", lambda: ("libone.so", "libtwo.so"))
        monkeypatch.setattr(doctor, "can_load", lambda library: library not in missing)
        monkeypatch.setattr(doctor, "read_driver_cuda", lambda: "13.0")
        monkeypatch.setattr(catalog, "shipped_models", dict)
        return {finding.name: finding for finding in doctor.examine()}

    return examine


def test_here_the_cpu_works_and_the_shipped_models_are_right() -> None:
    found = {finding.name: finding for finding in doctor.examine()}
    for name in ("Python", "numpy", "Pillow", "click", "runtime", "provider CPU", "cache", "trials"):
        assert found[name].state == "fine", found[name]
    for name in catalog.shipped_models():
        assert found[f"model {name}"].state == "fine"
    if not HAS_GPU:
        assert found["NVIDIA driver"].state == "note"
        if "provider CUDA" in found:  # the runtime lists what does not start here
            assert found["provider CUDA"].state == "note"
            assert "does not start" in found["provider CUDA"].text


def test_it_says_whether_trials_can_be_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = doctor.check_trials()
    assert found.text == f"bound memory and time; 0 verdicts are kept in {verdicts.folder()}"
    Generator.load(hostile.base().SerializeToString(), device="cpu", trust=False)
    if verdicts.folder().exists():  # else another test had this process know the file
        assert "verdicts are kept in" in doctor.check_trials().text
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GANFORGE_HOME", str(tmp_path / "file" / "x"))
    assert "verdicts are kept nowhere" in doctor.check_trials().text
    monkeypatch.setattr(host, "ALLOWANCE", -(2**40))
    assert doctor.check_trials().state in ("problem", "note")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert "are not available: this program is frozen; model files" in doctor.check_trials().text


def test_it_says_where_memory_is_not_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = host.Outcome(1, False, (), 0.0, 0.0, 0)
    monkeypatch.setattr(host, "run", lambda *given: outcome)
    found = doctor.check_trials()
    assert (found.state, "limits no process's memory; model files" in found.text) == ("note", True)


def test_the_tiny_model_is_an_onnx_model_that_passes_the_vetting() -> None:
    onnx.checker.check_model(onnx.load_from_string(doctor.TINY_MODEL), full_check=True)
    assert safety.check(doctor.TINY_MODEL, "it").operators == {"Mul"}


def test_a_provider_is_tried_in_a_process_of_its_own() -> None:
    assert doctor.try_provider("CPUExecutionProvider") == ""
    assert "is not in this onnxruntime" in doctor.try_provider("TPUExecutionProvider")


def test_both_wheels_are_a_problem(
    machine: Callable[..., dict[str, Finding]], versions: dict[str, str]
) -> None:
    versions["onnxruntime"] = "9.8"
    found = machine({devices.CPU: ""}, driver="no driver")["runtime wheel"]
    assert found.state == "problem"
    assert "onnxruntime 9.8, onnxruntime-gpu 9.9" in found.text
    assert found.mend == "pip uninstall --yes onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu"


def test_a_runtime_that_is_not_the_wheels_is_a_problem(
    machine: Callable[..., dict[str, Finding]], versions: dict[str, str]
) -> None:
    versions["onnxruntime-gpu"] = "1.0"
    assert machine({devices.CPU: ""}, driver="no driver")["runtime"].state == "problem"
    versions["onnxruntime-gpu"] = ""
    assert machine({devices.CPU: ""}, driver="no driver")["runtime wheel"].state == "problem"


def test_a_runtime_that_does_not_import_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ImportError("libx.so: no such file")

    monkeypatch.setattr(session, "describe_runtime", broken)
    monkeypatch.setattr(catalog, "shipped_models", dict)
    found = {finding.name: finding for finding in doctor.examine()}
    assert found["runtime"].state == "problem"
    assert "libx.so" in found["runtime"].text


def test_a_gpu_that_would_go_unused_is_a_problem(machine: Callable[..., dict[str, Finding]]) -> None:
    found = machine({devices.CUDA: "no cudnn", devices.CPU: ""}, missing=("libtwo.so",))
    assert found["provider CUDA"].state == "problem"
    assert found["CUDA libraries"].state == "problem"
    assert "libtwo.so" in found["CUDA libraries"].text
    assert "libone.so" not in found["CUDA libraries"].text
    assert found["CUDA libraries"].mend == "pip install 'ganforge[cuda]'"
    found = machine({devices.CPU: ""})
    assert found["CUDA"].state == "problem"
    assert "onnxruntime-gpu 9.9" in found["CUDA"].text


def test_a_gpu_that_works_is_fine_and_one_that_is_not_there_a_note(
    machine: Callable[..., dict[str, Finding]],
) -> None:
    found = machine({devices.CUDA: "", devices.CPU: ""}, missing=("libtwo.so",))
    assert {found[name].state for name in ("provider CUDA", "CUDA libraries", "NVIDIA driver")} == {"fine"}
    found = machine({devices.CUDA: "no driver", devices.CPU: ""}, driver="no driver")
    assert {found[name].state for name in ("provider CUDA", "NVIDIA driver")} == {"note"}
    assert machine({devices.CPU: "crashes"}, driver="none")["provider CPU"].state == "problem"


def test_cores_tell_what_a_container_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(cpu_count, "count_by_affinity", lambda: 8)
    monkeypatch.setattr(cpu_count, "count_by_cgroup", lambda root=None: 1.5)
    (found,) = doctor.check_cores()
    assert found.state == "note"
    assert found.text == "2 usable: 64 on the host, 8 by affinity, 1.5 by control group"


def test_a_cache_that_cannot_be_written_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GANFORGE_HOME", str(tmp_path / "file"))
    found = doctor.check_cache()
    assert found.state == "problem"
    assert "GANFORGE_HOME" in found.mend


def test_a_changed_model_and_wrong_pictures_are_problems(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name, path = next(iter(catalog.shipped_models().items()))
    folder = tmp_path / "models" / name
    folder.mkdir(parents=True)
    (folder / "samples.png").write_bytes(path.with_name("samples.png").read_bytes())
    model = onnx.load(path)
    monkeypatch.setattr(catalog, "root", lambda: tmp_path / "models")

    def ship(model: onnx.ModelProto) -> None:
        (folder / catalog.MODEL_FILE).write_bytes(model.SerializeToString())
        catalog.write_checksums()

    ship(model)
    assert doctor.check_model(name, "cpu").state == "fine"
    # Pictures that round otherwise, as on another processor: the golden ones differ, the sheet hardly.
    props = json.loads(model.metadata_props[0].value)
    for golden in props["golden"]:
        golden["sha256"] = "0" * 64
    model.metadata_props[0].value = json.dumps(props)
    ship(model)
    found = doctor.check_model(name, "cpu")
    assert (found.state, "within 1 of 256" in found.text) == ("fine", True)
    sheet = np.asarray(Image.open(folder / "samples.png"))
    # By more than processors differ, which may add or take away one.
    Image.fromarray(sheet ^ 4).save(folder / "samples.png")
    found = doctor.check_model(name, "cpu")
    assert (found.state, "its sheet differs by up to" in found.text) == ("problem", True)
    Image.fromarray(sheet[:50]).save(folder / "samples.png")
    assert doctor.check_model(name, "cpu").state == "problem"
    body = bytearray((folder / catalog.MODEL_FILE).read_bytes())
    body[-1] ^= 1
    (folder / catalog.MODEL_FILE).write_bytes(bytes(body))
    found = doctor.check_model(name, "cpu")
    assert (found.state, "is not the one that was shipped" in found.text) == ("problem", True)


@pytest.mark.parametrize(("state", "code"), [("fine", 0), ("note", 0), ("problem", 1)])
def test_the_exit_code_says_whether_something_will_bite(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch, state: doctor.State, code: int
) -> None:
    run = command_line("gan-infer", cli.main)
    finding = Finding("thing", state, "how it stands", "mend it")
    monkeypatch.setattr(doctor, "examine", lambda: iter([finding]))
    done = run("doctor")
    assert (done[0], done[2]) == (code, "")
    assert "how it stands" in done[1]
    assert "type: mend it" in done[1]
    done = run("doctor", "--json")
    assert done[0] == code
    facts = json.loads(done[1])
    assert facts["problems"] == code
    assert facts["findings"] == [
        {"name": "thing", "state": state, "text": "how it stands", "mend": "mend it"}
    ]
