from __future__ import annotations

import mmap
from pathlib import Path

import pytest

from gan_infer import DeviceError, OptionError, devices

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
    assert (list(choice.providers), choice.wanted) == (given, devices.CUDA)
    with pytest.raises(OptionError, match="empty"):
        devices.choose("cpu", [], EVERYTHING)
    with pytest.raises(DeviceError, match="not in this onnxruntime"):
        devices.choose("cpu", [devices.CUDA], [devices.CPU])


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
