"""Trains GANs that people start from today, rewritten from their descriptions, in one loop.

    python -m benchmarks.peers --data MNIST_FOLDER --images 60000 [--only NAMES]

- cgan: PyTorch-GAN's conditional multilayer perceptrons, least squares, 32x32.
- acgan: PyTorch-GAN's auxiliary classifier, 32x32, with the two known mistakes of its
  code: 0.8, meant as batch normalisation's momentum, is given as its epsilon, and
  probabilities are given to a cross-entropy that takes logits.
- acgan-mended: the same with both corrected.
- dcgan: pytorch/examples' DCGAN, 64x64, no labels.

Networks, losses and options (Adam 2e-4 with betas 0.5 and 0.999, batches of 64, float32) are as
described there, the code is not theirs. In their favour, pictures are resized once and kept in memory,
and nothing is read back from the device. All learn from the built-in 10,000 digits; samples are
resized to 28x28 by area, and drawn as theirs are, with the batch's own statistics.
`benchmarks.presets` compares them with the presets; this prints one JSON line per peer.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import judge, lines
from gan_infer import console
from gan_infer.errors import OptionError
from gan_train import data
from gan_train.config.options import DataOptions
from gan_train.data import PictureSet

BATCH: Final = 64
_SHOWN_SIDE: Final = 28
_NOISE: Final = 100
_SLOPE: Final = 0.2
# The value that PyTorch-GAN gives as batch normalisation's second argument, which is epsilon.
_EPSILON_BY_MISTAKE: Final = 0.8

Learn = Callable[["Peer", Tensor, Tensor], None]


@dataclasses.dataclass
class Peer:
    """Two networks with their optimisers, and how they learn.

    Attributes:
        side: of the pictures that they take and make, in pixels.
        classes: 0 without labels.
        generator: (noise [n, 100], labels [n]) -> pictures [n, 1, side, side] in [-1, 1].
        discriminator: (pictures, labels) -> what `learn` needs.
        learn: takes the peer, real pictures [n, 1, side, side] in [-1, 1] and labels [n]; one step each.
    """

    side: int
    classes: int
    generator: nn.Module
    discriminator: nn.Module
    learn: Learn

    def __post_init__(self) -> None:
        self.generator_optimizer = adam(self.generator)
        self.discriminator_optimizer = adam(self.discriminator)

    def step(self, real: Tensor, labels: Tensor) -> None:
        """Train both networks on a batch of uint8 pictures [n, 1, side, side] with labels [n]."""
        self.learn(self, real.float() / 127.5 - 1, labels)

    @torch.inference_mode()
    def sample(self, n: int, labels: npt.NDArray[np.int64], seed: int = 0) -> npt.NDArray[np.uint8]:
        """Draw n pictures uint8 [n, 28, 28] of the labels (which should be in mixed order)."""
        noise = torch.randn((n, _NOISE), generator=torch.Generator().manual_seed(seed))
        parts = [
            _to_pixels(self.generator(*pair))
            for pair in zip(
                torch.split(noise, BATCH), torch.split(torch.from_numpy(labels), BATCH), strict=True
            )
        ]
        return torch.cat(parts).numpy()

    def draw(self, count: int) -> Tensor:
        """Return new noise [count, 100]."""
        return torch.randn(count, _NOISE)


def adam(network: nn.Module) -> torch.optim.Adam:
    """Return Adam with the options that all of them use."""
    return torch.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999))


def _to_pixels(pictures: Tensor) -> Tensor:
    small = F.adaptive_avg_pool2d(pictures, _SHOWN_SIDE)[:, 0]
    return ((small + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


class _Dense(nn.Module):
    """The form of both perceptrons: an embedding of the label joined to the input, then layers."""

    def __init__(self, classes: int, layers: nn.Module) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, classes)
        self.layers = layers

    def forward(self, values: Tensor, labels: Tensor) -> Tensor:
        """Return the output of the layers for values [n, ...] and labels [n]."""
        joined = torch.cat([values.flatten(1), self.embedding(labels)], 1)
        made: Tensor = self.layers(joined)
        return made


def make_cgan(classes: int) -> Peer:
    """Make PyTorch-GAN's cgan: hidden layers of 128, 256, 512 and 1024, and three of 512."""
    side, counts = 32, (128, 256, 512, 1024)
    up: list[nn.Module] = [nn.Linear(_NOISE + classes, counts[0]), nn.LeakyReLU(_SLOPE)]
    for before, after in itertools.pairwise(counts):
        up += [
            nn.Linear(before, after),
            nn.BatchNorm1d(after, eps=_EPSILON_BY_MISTAKE),
            nn.LeakyReLU(_SLOPE),
        ]
    up += [nn.Linear(counts[-1], side * side), nn.Tanh(), nn.Unflatten(1, (1, side, side))]
    down: list[nn.Module] = [nn.Linear(side * side + classes, 512), nn.LeakyReLU(_SLOPE)]
    for _ in range(2):
        down += [nn.Linear(512, 512), nn.Dropout(0.4), nn.LeakyReLU(_SLOPE)]
    down += [nn.Linear(512, 1), nn.Flatten(0)]
    return Peer(
        side,
        classes,
        _Dense(classes, nn.Sequential(*up)),
        _Dense(classes, nn.Sequential(*down)),
        _learn_least_squares,
    )


def _learn_least_squares(peer: Peer, real: Tensor, labels: Tensor) -> None:
    wanted = torch.randint(peer.classes, labels.shape)
    fake = peer.generator(peer.draw(len(real)), wanted)

    def off(pictures: Tensor, of: Tensor, target: float) -> Tensor:
        output: Tensor = peer.discriminator(pictures, of)
        return (output - target).square().mean()

    _descend(peer.generator_optimizer, lambda: off(fake, wanted, 1))
    _descend(peer.discriminator_optimizer, lambda: (off(real, labels, 1) + off(fake.detach(), wanted, 0)) / 2)


def _descend(optimizer: torch.optim.Optimizer, loss: Callable[[], Tensor]) -> None:
    optimizer.zero_grad()
    torch.autograd.backward(loss())
    optimizer.step()


class _ClassGenerator(nn.Module):
    """Noise times the label's embedding -> 8x8 -> twice nearest upsampling and a convolution."""

    def __init__(self, classes: int, epsilon: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, _NOISE)
        self.layers = nn.Sequential(
            nn.Linear(_NOISE, 128 * 8 * 8),
            nn.Unflatten(1, (128, 8, 8)),
            nn.BatchNorm2d(128),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(128, 128, 3, padding=1),
            nn.BatchNorm2d(128, eps=epsilon),
            nn.LeakyReLU(_SLOPE),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(128, 64, 3, padding=1),
            nn.BatchNorm2d(64, eps=epsilon),
            nn.LeakyReLU(_SLOPE),
            nn.Conv2d(64, 1, 3, padding=1),
            nn.Tanh(),
        )

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        """Return pictures [n, 1, 32, 32]."""
        pictures: Tensor = self.layers(self.embedding(labels) * noise)
        return pictures


class _ClassDiscriminator(nn.Module):
    """Four convolutions of stride 2 with dropout, then a logit of real and logits of the classes."""

    def __init__(self, classes: int, epsilon: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        counts = (1, 16, 32, 64, 128)
        for index, (before, after) in enumerate(itertools.pairwise(counts)):
            layers += [
                nn.Conv2d(before, after, 3, stride=2, padding=1),
                nn.LeakyReLU(_SLOPE),
                nn.Dropout2d(0.25),
            ]
            layers += [nn.BatchNorm2d(after, eps=epsilon)] if index else []
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.real = nn.Linear(128 * 2 * 2, 1)
        self.named = nn.Linear(128 * 2 * 2, classes)

    def forward(self, pictures: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return (logits [n], class logits [n, classes]); the labels are ignored."""
        features = self.layers(pictures)
        return self.real(features)[:, 0], self.named(features)


def make_acgan(classes: int, mended: bool = False) -> Peer:
    """Make PyTorch-GAN's acgan, as it is or with its two mistakes corrected."""
    epsilon = 1e-5 if mended else _EPSILON_BY_MISTAKE

    def learn(peer: Peer, real: Tensor, labels: Tensor) -> None:
        wanted = torch.randint(peer.classes, labels.shape)
        fake = peer.generator(peer.draw(len(real)), wanted)

        def off(pictures: Tensor, of: Tensor, target: float) -> Tensor:
            logits, named = peer.discriminator(pictures, of)
            guessed = named if mended else named.softmax(1)
            wrong = F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))
            return (wrong + F.cross_entropy(guessed, of)) / 2

        _descend(peer.generator_optimizer, lambda: off(fake, wanted, 1))
        _descend(
            peer.discriminator_optimizer, lambda: (off(real, labels, 1) + off(fake.detach(), wanted, 0)) / 2
        )

    generator, discriminator = _ClassGenerator(classes, epsilon), _ClassDiscriminator(classes, epsilon)
    peer = Peer(32, classes, generator, discriminator, learn)
    for network in (generator, discriminator):
        network.apply(small_normal)
    return peer


def small_normal(module: nn.Module) -> None:
    """Draw weights as DCGAN has them: N(0, 0.02), and N(1, 0.02) for batch normalisation."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


class Unconditional(nn.Module):
    """Layers that ignore labels."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, values: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the output of the layers for the values."""
        made: Tensor = self.layers(values)
        return made


def dcgan_networks(channels: int, width: int = 64) -> tuple[nn.Module, nn.Module]:
    """Make pytorch/examples' pair for 64x64: (noise [n, 100] -> pictures, pictures -> logits [n])."""
    up: list[nn.Module] = [nn.Unflatten(1, (_NOISE, 1, 1))]
    before = _NOISE
    for index, after in enumerate((8 * width, 4 * width, 2 * width, width)):
        stride, padding = (2, 1) if index else (1, 0)
        up += [
            nn.ConvTranspose2d(before, after, 4, stride, padding, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]
        before = after
    up += [nn.ConvTranspose2d(width, channels, 4, 2, 1, bias=False), nn.Tanh()]
    down: list[nn.Module] = []
    before = channels
    for index, after in enumerate((width, 2 * width, 4 * width, 8 * width)):
        down += [nn.Conv2d(before, after, 4, 2, 1, bias=False)]
        down += [nn.BatchNorm2d(after)] if index else []
        down += [nn.LeakyReLU(_SLOPE)]
        before = after
    down += [nn.Conv2d(before, 1, 4, bias=False), nn.Flatten(0)]
    pair = Unconditional(nn.Sequential(*up)), Unconditional(nn.Sequential(*down))
    for network in pair:
        network.apply(small_normal)
    return pair


def make_dcgan(classes: int) -> Peer:
    """Make pytorch/examples' dcgan, which takes no labels."""
    return Peer(64, 0, *dcgan_networks(1), _learn_dcgan)


def _learn_dcgan(peer: Peer, real: Tensor, labels: Tensor) -> None:
    fake = peer.generator(peer.draw(len(real)))

    def off(pictures: Tensor, target: float) -> Tensor:
        logits = peer.discriminator(pictures)
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))

    peer.discriminator_optimizer.zero_grad()
    for part in (off(real, 1), off(fake.detach(), 0)):
        torch.autograd.backward(part)
    peer.discriminator_optimizer.step()
    _descend(peer.generator_optimizer, lambda: off(fake, 1))


PEERS: Final[Mapping[str, Callable[[int], Peer]]] = {
    "cgan": make_cgan,
    "acgan": make_acgan,
    "acgan-mended": lambda classes: make_acgan(classes, mended=True),
    "dcgan": make_dcgan,
}


def batches(images: Tensor, labels: Tensor, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield shuffled batches of 64 without end; the last, smaller one of each epoch is left out."""
    chance = torch.Generator().manual_seed(seed)
    while True:
        for index in torch.split(torch.randperm(len(images), generator=chance), BATCH):
            if len(index) == BATCH:
                yield images[index], labels[index]


def resize(images: npt.NDArray[np.uint8], side: int) -> Tensor:
    """Return pictures uint8 [n, h, w, 1] as uint8 [n, 1, side, side], interpolated linearly."""
    parts = []
    for part in torch.split(torch.tensor(images[..., 0])[:, None], 1000):
        smooth = F.interpolate(part.float(), (side, side), mode="bilinear", antialias=True)
        parts.append(smooth.round().clamp(0, 255).to(torch.uint8))
    return torch.cat(parts)


@dataclasses.dataclass
class Training:
    """A peer with its pictures."""

    peer: Peer
    batches: Iterator[tuple[Tensor, Tensor]]

    def step(self) -> None:
        """Train the peer on the next batch."""
        self.peer.step(*next(self.batches))


def begin(name: str, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], seed: int) -> Training:
    """Return a fresh peer with its pictures, ready to take steps.

    Raises:
        OptionError: there is no such peer.
    """
    if name not in PEERS:
        raise OptionError(f"peer {name!r} is unknown; give one of {', '.join(PEERS)}")
    torch.manual_seed(seed)
    peer = PEERS[name](int(labels.max()) + 1)
    return Training(peer, batches(resize(images, peer.side), torch.from_numpy(labels), seed))


def train(name: str, pictures: PictureSet, images: int, seed: int) -> Peer:
    """Train a peer on at least `images` images, and return it."""
    assert pictures.labels is not None
    run, said = begin(name, pictures.images, pictures.labels, seed), time.monotonic()
    for seen in range(0, images, BATCH):
        run.step()
        if time.monotonic() - said > 30:
            said = time.monotonic()
            console.say(f"{name}: {seen:,} of {images:,} images")
    return run.peer


def score(peer: Peer, scorer: judge.Scorer) -> judge.Score:
    """Score 10,000 pictures, of the classes in turn; without labels, only by their distance."""
    labels = np.arange(judge.SAMPLES, dtype=np.int64) % scorer.classes
    return scorer.score(peer.sample(judge.SAMPLES, labels), labels if peer.classes else None)


def main() -> None:
    parser = lines.parser(__doc__, "runs/peers.jsonl")
    judge.add_options(parser)
    parser.add_argument("--only", default=",".join(PEERS), help="names, with commas between")
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    kept = lines.Lines(arguments.results)
    if arguments.markdown:
        print(judge.markdown(kept.all))
        return
    torch.set_num_threads(arguments.threads)
    pictures, name = data.load(DataOptions()), arguments.data and arguments.data.resolve().name
    scorer, _ = judge.make_scorer_of_options(arguments)
    for peer in arguments.only.split(","):
        asked = {"model": f"peer {peer}, {arguments.images:,} images, seed {arguments.seed}"}
        if kept.find(**asked) is None:
            found = score(train(peer, pictures, arguments.images, arguments.seed), scorer)
            kept.add(judge.line(asked["model"], name, found))


if __name__ == "__main__":
    main()
