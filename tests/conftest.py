"""Small models with random weights, exported by the real exporter, and pictures on disk."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os

# Test models are so small that a second thread only waits for the first; on a busy machine, for long.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# As gan_infer does before it imports the runtime, which some tests do first.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, settings
from PIL import Image

from gan_infer.modelfile.metadata import CriticMetadata, Metadata
from gan_infer.models.generator import Generator
from gan_infer.runtime.session import Session
from gan_train.export import critic as critics
from gan_train.export import write
from gan_train.networks import FAMILIES, ConditionSpec, ema, of_class
from gan_train.networks.pixels import PixelCritic

# (exit code, stdout, stderr) of a program run with some arguments.
Run = Callable[..., tuple[int, str, str]]
CommandLine = Callable[[str, Callable[[], None]], Run]
# A file that is written once for all processes of the tests: its name, and what writes it.
Once = Callable[[str, Callable[[Path], object]], Path]

# What a shell starts in the background ignores these, and so would the programs that tests interrupt.
for number in (signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGINT)):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

# Machines are shared and slow at times: what a test computes is judged, never how long it took.
settings.register_profile("ganforge", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ganforge")


@dataclasses.dataclass(frozen=True)
class Kind:
    """What a test model is made of."""

    family: str = "resnet"
    height: int = 28
    width: int = 28
    channels: int = 1
    classes: int = 10
    latent_dim: int = 64
    distribution: str = "normal"
    condition: str = "embedding"

    def __str__(self) -> str:
        return f"{self.family}-{self.height}x{self.width}x{self.channels}-{self.classes}-{self.condition}"

    @property
    def whole_name(self) -> str:
        """Return a name that no other kind has."""
        return f"{self}-{self.latent_dim}-{self.distribution}"


CONDITIONAL = Kind()
UNCONDITIONAL = Kind(classes=0, height=16, width=20, channels=3, latent_dim=8)
DCGAN = Kind("dcgan", 32, 32, 3, classes=3, latent_dim=100, distribution="uniform")
DCGAN_PLAIN = Kind("dcgan", 29, 18, 1, classes=0, latent_dim=7)
ODD = Kind(height=45, width=30, channels=3, classes=2, latent_dim=5)
RGBA = Kind("mlp", 48, 32, 4, classes=100, latent_dim=12, condition="one_hot")
BY_NORM = Kind("sngan", 32, 40, 3, classes=7, latent_dim=16, condition="batch_norm")
DCGAN_BY_NORM = Kind("dcgan", 28, 28, 1, classes=4, latent_dim=16, condition="batch_norm")
GROUPED = Kind("r3", 48, 48, 3, classes=2, latent_dim=16)
TINY = Kind(height=8, width=11, classes=0, latent_dim=4)
EVERY_KIND = [
    CONDITIONAL,
    UNCONDITIONAL,
    DCGAN,
    DCGAN_PLAIN,
    ODD,
    RGBA,
    BY_NORM,
    DCGAN_BY_NORM,
    GROUPED,
    TINY,
]


def make_network(kind: Kind) -> torch.nn.Module:
    """Return a generator with random weights and, where it normalises, real statistics."""
    torch.manual_seed(7)
    network = FAMILIES[kind.family].generator(
        (kind.height, kind.width),
        kind.channels,
        8,
        kind.latent_dim,
        ConditionSpec(kind.classes, kind.condition),
    )
    with torch.no_grad():  # larger than at the start of training, so that pictures are not all grey
        for parameter in network.parameters():
            parameter.mul_(1.5)

    def run_batch(index: int) -> torch.Tensor:
        label = torch.arange(16) % kind.classes if kind.classes else None
        pictures: torch.Tensor = network(torch.randn(16, kind.latent_dim), of_class(label))
        return pictures

    ema.recalibrate(network, run_batch, batches=4)
    return network.eval()


def make_metadata(kind: Kind) -> Metadata:
    """Return the metadata of a test model."""
    return Metadata(
        name=f"test-{kind}",
        latent_dim=kind.latent_dim,
        latent_distribution=kind.distribution,
        height=kind.height,
        width=kind.width,
        channels=kind.channels,
        class_names=tuple(f"class {index}" for index in range(kind.classes)),
    )


def without_mixing(model: onnx.ModelProto) -> onnx.ModelProto:
    """Take the mixing of labels out of a model, as files of before had it."""
    other = onnx.ModelProto.FromString(model.SerializeToString())
    graph = other.graph
    hanging, plain, kept = {"label_weights"}, dict[str, str](), []
    for node in graph.node:
        if node.op_type == "Where" and node.input[0] in hanging:
            plain[node.output[0]] = node.input[2]
        elif hanging.intersection(node.input):
            hanging.update(node.output)
        else:
            node.input[:] = [plain.get(name, name) for name in node.input]
            kept.append(onnx.NodeProto.FromString(node.SerializeToString()))
    del graph.node[:]
    graph.node.extend(kept)
    for items in (graph.initializer, graph.input):
        for item in [item for item in items if item.name.startswith("label_weights")]:
            items.remove(item)
    for entry in other.metadata_props:
        told = {**json.loads(entry.value), "format_version": "1.0"}
        entry.value = json.dumps({key: told[key] for key in told if key not in ("inputs", "outputs")})
    return other


def with_metadata(path: Path, metadata: Metadata | CriticMetadata, to: Path) -> Path:
    """Write a model file with other metadata, and return its path."""
    model = onnx.load(path)
    (entry,) = (entry for entry in model.metadata_props if entry.key == "ganforge")
    entry.value = metadata.to_json()
    onnx.save(model, to)
    return to


def count_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by the rows of each call of the runtime, by models loaded after this."""
    counts: list[int] = []
    run = Session.run

    def counted(self: Session, names: Sequence[str], feeds: Mapping[str, np.ndarray]) -> Any:
        counts.append(len(feeds["latent"]))
        return run(self, names, feeds)

    monkeypatch.setattr(Session, "run", counted)
    return counts


@contextlib.contextmanager
def _verdicts_in(folder: Path) -> Iterator[None]:
    """Keep what the export of a shared file leaves behind out of the folder of the test that asks first."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("GANFORGE_HOME", str(folder / "home"))
        yield


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Return a function from a name and what writes a file to the file, written once for all processes."""
    own = tmp_path_factory.getbasetemp()
    shared = "PYTEST_XDIST_WORKER" in os.environ and sys.platform != "win32"
    folder = (own.parent if shared else own) / "once"
    folder.mkdir(exist_ok=True)

    def give(name: str, write_to: Callable[[Path], object]) -> Path:
        path = folder / name
        with (folder / f"{name}.lock").open("w") as lock:
            if sys.platform != "win32":
                import fcntl

                fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                with _verdicts_in(folder):
                    write_to(path)
        return path

    return give


@pytest.fixture(scope="session")
def model_file(once: Once) -> Callable[[Kind], Path]:
    """Return a function from a kind to its exported file."""
    return lambda kind: once(
        f"{kind.whole_name}.onnx", lambda path: write(make_network(kind), make_metadata(kind), path)
    )


def make_critic(kind: Kind, judged: str = "projection") -> PixelCritic:
    """Return a critic with random weights, whose judgements of random pictures spread over 0..1."""
    torch.manual_seed(11)
    spec = ConditionSpec(kind.classes, kind.condition, judged)
    network = FAMILIES[kind.family].discriminator((kind.height, kind.width), kind.channels, 8, spec).eval()
    critic = PixelCritic(network).eval()
    with torch.no_grad():
        labels = torch.arange(64) % kind.classes if kind.classes else None
        logits = critic.logits(torch.from_numpy(random_pictures(kind, 64)), labels)
    slope = 1.5 / float(logits.std())
    return PixelCritic(network, slope, [-slope * float(logits.mean())]).eval()


def random_pictures(kind: Kind, count: int, seed: int = 0) -> np.ndarray:
    """Return random pictures, uint8 [count, height, width, channels], light ones and dark ones."""
    rng = np.random.default_rng(seed)
    noise = rng.uniform(0, 1, (count, kind.height, kind.width, kind.channels))
    return (255 * noise ** rng.uniform(0.2, 5, (count, 1, 1, 1))).astype(np.uint8)


def make_critic_metadata(kind: Kind, conditional: bool = True) -> CriticMetadata:
    """Return the metadata of a test critic."""
    return CriticMetadata(
        name=f"critic-{kind}",
        height=kind.height,
        width=kind.width,
        channels=kind.channels,
        class_names=tuple(f"class {index}" for index in range(kind.classes if conditional else 0)),
    )


@pytest.fixture(scope="session")
def critic_file(once: Once) -> Callable[[Kind], Path]:
    """Return a function from a kind to the file of a critic of its pictures."""
    return lambda kind: once(
        f"critic-{kind.whole_name}.onnx",
        lambda path: critics.write(
            make_critic(kind), make_critic_metadata(kind), random_pictures(kind, 64), path
        ),
    )


@pytest.fixture(scope="session")
def conditional(model_file: Callable[[Kind], Path]) -> Generator:
    return Generator.load(model_file(CONDITIONAL), device="cpu")


@pytest.fixture(scope="session")
def unconditional(model_file: Callable[[Kind], Path]) -> Generator:
    return Generator.load(model_file(UNCONDITIONAL), device="cpu")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANFORGE_HOME", str(tmp_path / "ganforge-home"))


@pytest.fixture
def not_root() -> None:
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        pytest.skip("root may write everywhere")


@pytest.fixture
def command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> CommandLine:
    """Return a function from a program's name and main to one that runs it in an empty folder."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def bind(name: str, main: Callable[[], None]) -> Run:
        def run(*arguments: object) -> tuple[int, str, str]:
            monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
            with pytest.raises(SystemExit) as exit_:
                main()
            out, err = capsys.readouterr()
            assert isinstance(exit_.value.code, int)
            return exit_.value.code, out, err

        return run

    return bind


@pytest.fixture
def run_script() -> Callable[..., str]:
    """Return a function that runs Python code in a process of its own and gives its stdout."""

    def run(code: str, timeout_s: float = 60.0) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout_s, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder of 24 colour pictures, 40x30, in two classes."""
    return cats_and_dogs(tmp_path / "photos", 24, seed=0)


@pytest.fixture
def others(tmp_path: Path) -> Path:
    """Return a folder of 60 other pictures of the classes of `photos`."""
    return cats_and_dogs(tmp_path / "others", 60, seed=5)


def cats_and_dogs(folder: Path, count: int, seed: int) -> Path:
    """Write random colour pictures, 40x30, in two classes; give their folder."""
    rng = np.random.default_rng(seed)
    for index in range(count):
        path = folder / ("cats" if index % 2 else "dogs") / f"{index:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(path)
    return folder
