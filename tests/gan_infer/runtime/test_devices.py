from __future__ import annotations

import mmap
from pathlib import Path

import pytest

from gan_infer import DeviceError, OptionError
from gan_infer.runtime import devices

EVERYTHING = [devices.CUDA, devices.COREML, devices.DML, devices.CPU]


@pytest.fixture(autouse=True)
def _a_driver_with_two_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        devices, "driver_obstacle", lambda index=0: "" if index < 2 else f"there is no device {index}"
    )


def options_of(device: str) -> dict[str, object]:
    first = devices.choose(device, None, EVERYTHING).providers[0]
    assert not isinstance(first, str)
    return dict(first[1])


@pytest.mark.parametrize(
    ("device", "wanted"),
    [
        ("cpu", devices.CPU),
        ("cuda", devices.CUDA),
        ("cuda:1", devices.CUDA),
        ("coreml", devices.COREML),
        ("dml", devices.DML),
        ("dml:1", devices.DML),
        ("auto", None),
    ],
)
def test_an_asked_for_device_is_one_that_must_be_there(device: str, wanted: str | None) -> None:
    choice = devices.choose(device, None, EVERYTHING)
    assert choice.wanted == wanted
    assert choice.providers[-1] == devices.CPU  # shapes are computed there


def test_cuda_keeps_whole_float32_products_and_its_index() -> None:
    assert options_of("cuda:1")["device_id"] == "1"
    assert options_of("cuda")["device_id"] == "0"
    assert options_of("cuda")["use_tf32"] == "0"
    assert options_of("cuda")["cudnn_conv_algo_search"] == "HEURISTIC"
    assert options_of("cuda")["arena_extend_strategy"] == "kSameAsRequested"


def test_a_device_that_the_runtime_or_the_machine_lacks_is_named() -> None:
    for device, missing in (("cuda", "has no CUDA"), ("coreml", "macOS"), ("dml", "onnxruntime-directml")):
        with pytest.raises(DeviceError, match=missing):
            devices.choose(device, None, [devices.CPU])
    with pytest.raises(DeviceError, match="there is no device 2"):
        devices.choose("cuda:2", None, EVERYTHING)


def test_auto_takes_a_gpu_with_a_driver_and_says_why_it_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices.choose("auto", None, EVERYTHING).providers[0][0] == devices.CUDA
    monkeypatch.setattr(devices, "driver_obstacle", lambda index=0: "the driver sleeps")
    choice = devices.choose("auto", None, EVERYTHING)
    assert choice.providers == (devices.CPU,)
    assert "the driver sleeps" in choice.note
    assert devices.choose("auto", None, [devices.COREML, devices.CPU]).note == ""


def test_a_given_list_goes_before_the_device() -> None:
    given = [(devices.CUDA, {"device_id": 1, "own": "thing"}), devices.CPU]
    choice = devices.choose("cpu", given, EVERYTHING)
    assert (list(choice.providers), choice.wanted, choice.note) == (given, None, "")
    assert devices.choose("cpu", given[:1], EVERYTHING).wanted == devices.CUDA
    with pytest.raises(DeviceError, match="not in this onnxruntime"):
        devices.choose("cpu", [devices.CUDA], [devices.CPU])


def test_with_the_cpu_in_the_list_what_the_runtime_lacks_is_left_out() -> None:
    choice = devices.choose("auto", [devices.CUDA, (devices.DML, {}), devices.CPU], [devices.CPU])
    assert (choice.providers, choice.wanted) == ((devices.CPU,), None)
    assert choice.note == f"not in this onnxruntime: {devices.CUDA}, {devices.DML}"


def test_of_a_provider_named_twice_the_first_counts() -> None:
    given = [(devices.CUDA, {"device_id": "1"}), devices.CPU, devices.CUDA, devices.CPU]
    assert list(devices.choose("auto", given, EVERYTHING).providers) == given[:2]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "is empty"),
        ((), "is empty"),
        ("CPUExecutionProvider", "give a list of names"),
        ({"CPUExecutionProvider"}, "give a list of names"),
        ([devices.CPU, 3], "give a list of names"),
        ([(devices.CUDA, {}, 1)], "give a list of names"),
    ],
)
def test_lists_that_are_none_are_told(given: object, said: str) -> None:
    with pytest.raises(OptionError, match=said) as error:
        devices.choose("cpu", given, EVERYTHING)  # type: ignore[arg-type]
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["cpu"], "did you mean 'CPUExecutionProvider'"),
        (["cudaexecutionprovider"], "did you mean 'CUDAExecutionProvider'"),
        (["CUDA", devices.CPU], "did you mean 'CUDAExecutionProvider'"),
        (["CUDAExecutionProvidr", devices.CPU], "did you mean 'CUDAExecutionProvider'"),
        (["zzz" * 100, devices.CPU], "is not in this onnxruntime; it has CUDA"),
        ([""], "is not in this onnxruntime"),
    ],
)
def test_names_that_no_runtime_knows_are_never_left_out_in_silence(given: list[str], said: str) -> None:
    with pytest.raises(DeviceError, match=said) as error:
        devices.choose("auto", given, EVERYTHING)
    assert len(str(error.value)) < 300


def test_the_libraries_looked_for_are_those_that_the_provider_links() -> None:
    spec = devices.importlib.util.find_spec("onnxruntime")
    assert spec is not None
    assert spec.submodule_search_locations
    provider = Path(spec.submodule_search_locations[0], "capi", "libonnxruntime_providers_cuda.so")
    if not provider.exists():
        pytest.skip("this runtime was built without CUDA")
    needed = [library for library in devices.cuda_libraries() if "cudnn" not in library]
    with provider.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        assert [library for library in needed if content.find(library.encode() + b"\0") < 0] == []
