from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime as ort
import pytest

from gan_infer import DeviceError, Generator, OptionError
from gan_infer.runtime import devices, session
from tests.conftest import CONDITIONAL, Kind

Models = Callable[[Kind], Path]
HAS_GPU = not devices.driver_obstacle()


@pytest.mark.skipif(HAS_GPU, reason="a GPU is here")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_cuda_that_cannot_be_had_is_refused_naming_what_is_missing(model_file: Models, device: str) -> None:
    with pytest.raises(DeviceError, match=r"driver|onnxruntime-gpu") as caught:
        Generator.load(model_file(CONDITIONAL), device=device)
    assert "device='cpu'" in str(caught.value)


@pytest.mark.skipif(HAS_GPU, reason="a GPU is here")
def test_auto_takes_the_cpu_and_says_why(model_file: Models) -> None:
    generator = Generator.load(model_file(CONDITIONAL))
    assert generator.device == "cpu"
    if "CUDAExecutionProvider" in ort.get_available_providers():
        assert "driver" in generator.device_note


@pytest.mark.skipif(not HAS_GPU, reason="needs a GPU")
def test_the_gpu_gives_the_cpus_pictures_to_one_level(model_file: Models) -> None:
    cpu = Generator.load(model_file(CONDITIONAL), device="cpu").sample(64, seed=0)
    generator = Generator.load(model_file(CONDITIONAL), device="cuda")
    assert generator.device == "cuda:0"
    assert abs(generator.sample(64, seed=0).astype(int) - cpu.astype(int)).max() <= 1


@pytest.mark.parametrize("device", ["", "gpu", "cuda:", "cuda:x", "CPU", "cuda:0:1"])
def test_an_unknown_device_is_refused(model_file: Models, device: str) -> None:
    with pytest.raises(OptionError, match="'auto', 'cpu', 'cuda'"):
        Generator.load(model_file(CONDITIONAL), device=device)


def test_providers_and_options_are_handed_on(model_file: Models) -> None:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    generator = Generator.load(
        model_file(CONDITIONAL), providers=["CPUExecutionProvider"], session_options=options
    )
    assert generator.providers == ("CPUExecutionProvider",)
    with pytest.raises(DeviceError, match=r"'TPUExecutionProvider' is not in this onnxruntime"):
        Generator.load(model_file(CONDITIONAL), providers=["TPUExecutionProvider"])
    with pytest.raises(OptionError, match="empty"):
        Generator.load(model_file(CONDITIONAL), providers=[])


def test_a_provider_that_does_not_start_is_never_replaced_in_silence(
    model_file: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The runtime falls back to the CPU without an error; what really runs must be looked at.
    monkeypatch.setattr(
        ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    monkeypatch.setattr(devices, "driver_obstacle", lambda index=0: "")
    monkeypatch.setattr(session, "load_cuda_libraries", lambda: None)
    real = ort.InferenceSession
    monkeypatch.setattr(
        ort,
        "InferenceSession",
        lambda model, options, providers, **_: real(model, options, providers=["CPUExecutionProvider"]),
    )
    with pytest.raises(DeviceError, match="is not available"):
        Generator.load(model_file(CONDITIONAL), device="cuda")
    generator = Generator.load(model_file(CONDITIONAL), device="auto")
    assert generator.device == "cpu"
    assert "no GPU in use" in generator.device_note
    with pytest.raises(DeviceError, match="is not available"):
        Generator.load(model_file(CONDITIONAL), providers=["CUDAExecutionProvider"])
    listed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    generator = Generator.load(model_file(CONDITIONAL), providers=listed)
    assert (generator.device, generator.providers) == ("cpu", ("CPUExecutionProvider",))
    assert generator.device_note.startswith("without CUDAExecutionProvider: ")


def test_of_a_list_those_that_fail_are_left_out_one_by_one(
    model_file: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(ort, "get_available_providers", lambda: names)
    monkeypatch.setattr(session, "load_cuda_libraries", lambda: None)
    real, tried = ort.InferenceSession, []

    def start(model: bytes, options: object, providers: list[str], **_: object) -> object:
        tried.append(list(providers))
        if "TensorrtExecutionProvider" in providers:
            raise RuntimeError("no such library")
        return real(model, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(ort, "InferenceSession", start)
    generator = Generator.load(model_file(CONDITIONAL), providers=names)
    assert tried == [names, names[1:]]
    assert generator.device_note == "without TensorrtExecutionProvider: no such library"
    with pytest.raises(DeviceError, match="no such library"):
        Generator.load(model_file(CONDITIONAL), providers=names[:2])


@pytest.mark.parametrize(
    "options",
    [
        {"device": None},
        {"device": 0},
        {"device": "cuda:\u0663"},
        {"providers": "CPUExecutionProvider"},
        {"providers": [None]},
        {"providers": [("CPUExecutionProvider",)]},
        {"providers": 5},
        {"session_options": "fast"},
    ],
    ids=str,
)
def test_what_is_no_device_provider_or_option_is_told_so(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        Generator.load("digits", **options)
