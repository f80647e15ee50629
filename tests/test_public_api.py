from __future__ import annotations

import pytest

import gan_infer


def test_the_public_names_are_these() -> None:
    assert gan_infer.__all__ == [
        "Critic",
        "DataError",
        "DeviceError",
        "GanError",
        "Generator",
        "LabelError",
        "Metadata",
        "ModelError",
        "OptionError",
        "TrainingError",
        "__version__",
    ]
    for name in gan_infer.__all__:
        assert hasattr(gan_infer, name)
    assert set(gan_infer.__all__) <= set(dir(gan_infer))
    with pytest.raises(AttributeError, match="no attribute 'Generators'"):
        gan_infer.Generators  # noqa: B018


def test_the_generators_public_names_are_these() -> None:
    assert [name for name in dir(gan_infer.Generator) if not name.startswith("_")] == [
        "choose",
        "class_names",
        "close",
        "conditional",
        "device",
        "device_note",
        "directions",
        "edit",
        "grid",
        "grid_provenance",
        "image_shape",
        "interpolate",
        "iter_batches",
        "label_index",
        "label_weights",
        "latent",
        "latent_dim",
        "latents",
        "load",
        "loop",
        "mixes_labels",
        "name",
        "note",
        "provenance",
        "providers",
        "sample",
        "sha256",
    ]


def test_the_critics_public_names_are_these() -> None:
    assert [name for name in dir(gan_infer.Critic) if not name.startswith("_")] == [
        "class_names",
        "close",
        "conditional",
        "device",
        "device_note",
        "image_shape",
        "label_index",
        "load",
        "name",
        "note",
        "of_any_class",
        "prepare",
        "providers",
        "score",
        "settle_range",
        "sha256",
    ]


def test_every_error_is_one_of_ours() -> None:
    for name in gan_infer.__all__:
        if name.endswith("Error"):
            assert issubclass(getattr(gan_infer, name), gan_infer.GanError)
