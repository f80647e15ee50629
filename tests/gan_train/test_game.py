"""Losses, penalties, the running average and the steps: each against what it is by definition."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from gan_train import ema, penalties, seeding
from gan_train.losses import LOSSES
from gan_train.networks import Condition
from gan_train.presets import make
from gan_train.step import Batch, Shape, make_players, step

REAL, FAKE = torch.tensor([0.5, -1.0]), torch.tensor([2.0, 0.25])


def log1pexp(value: float) -> float:
    return math.log1p(math.exp(value))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def test_non_saturating_is_its_definition() -> None:
    loss = LOSSES["non_saturating"]
    d = mean([log1pexp(-r) for r in REAL.tolist()]) + mean([log1pexp(f) for f in FAKE.tolist()])
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(d, rel=1e-6)
    g = mean([log1pexp(-f) for f in FAKE.tolist()])
    assert loss.generator(REAL, FAKE).item() == pytest.approx(g, rel=1e-6)
    assert loss.belief_in_real(REAL, FAKE).item() == pytest.approx(
        mean([1 / (1 + math.exp(-r)) for r in REAL.tolist()]), rel=1e-6
    )


def test_relativistic_is_its_definition_and_knows_only_differences() -> None:
    loss = LOSSES["relativistic"]
    pairs = list(zip(REAL.tolist(), FAKE.tolist(), strict=True))
    d = mean([log1pexp(f - r) for r, f in pairs])
    g = mean([log1pexp(r - f) for r, f in pairs])
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(d, rel=1e-6)
    assert loss.generator(REAL, FAKE).item() == pytest.approx(g, rel=1e-6)
    torch.testing.assert_close(loss.discriminator(REAL + 9, FAKE + 9), loss.discriminator(REAL, FAKE))
    assert loss.belief_in_real(REAL, FAKE) + loss.belief_in_fake(REAL, FAKE) == pytest.approx(1)


@pytest.mark.parametrize("name", LOSSES)
def test_each_player_gains_by_moving_its_own_way(name: str) -> None:
    loss = LOSSES[name]
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    loss.discriminator(real, fake).backward()
    assert real.grad is not None
    assert fake.grad is not None
    assert (real.grad < 0).all()
    assert (fake.grad > 0).all()
    fake.grad = None
    loss.generator(real.detach(), fake).backward()
    assert (fake.grad < 0).all()
    assert loss.belief_in_real(REAL * 0, FAKE * 0) == 0.5
    assert loss.belief_in_fake(REAL * 0, FAKE * 0) == 0.5


class _Linear(torch.nn.Module):
    """A discriminator whose gradient is known: logit = weight . picture ** power."""

    def __init__(self, power: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0, 0.5]))
        self.power = power

    def forward(self, pictures: torch.Tensor, condition: Condition) -> torch.Tensor:
        return (pictures.flatten(1) ** self.power) @ self.weight


def test_the_gradient_norm_of_known_functions() -> None:
    pictures = torch.randn(5, 1, 2, 2)
    straight = _Linear(1)
    norm = penalties.gradient_norm(straight, pictures, Condition())
    assert norm.item() == pytest.approx(1 + 4 + 9 + 0.25)
    norm.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(straight.weight.grad, 2 * straight.weight.detach())
    square = _Linear(2)
    expected = (2 * pictures.flatten(1) * square.weight).square().sum(1).mean()
    torch.testing.assert_close(penalties.gradient_norm(square, pictures, Condition()), expected)
    assert pictures.requires_grad is False


def test_the_average_forgets_half_in_a_half_life() -> None:
    assert ema.decay(100, 10**9, half_life=100, ramp=1.0) == pytest.approx(0.5)
    assert ema.decay(50, 10**9, half_life=100, ramp=1.0) == pytest.approx(0.5**0.5)
    assert ema.decay(100, 2000, half_life=1e9, ramp=0.05) == pytest.approx(0.5)
    assert ema.decay(64, 64, half_life=0.0, ramp=0.0) == 0.0
    average, current = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    before = copy.deepcopy(average)
    ema.update(average, current, 0.75)
    torch.testing.assert_close(average.weight, 0.75 * before.weight + 0.25 * current.weight)


def test_recalibration_gives_the_statistics_of_the_given_batches() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2)).eval()
    batches = torch.randn(8, 16, 1, 3, 3) * 3 + 1
    ema.recalibrate(network, lambda index: network(batches[index]), batches=8)
    inside = network[0](batches.flatten(0, 1))
    norm = network[1]
    assert isinstance(norm, torch.nn.BatchNorm2d)
    torch.testing.assert_close(norm.running_mean, inside.mean((0, 2, 3)), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(norm.running_var, inside.var((0, 2, 3)), atol=0.5, rtol=0.05)
    assert norm.momentum == 0.1
    assert not network.training


def test_derived_seeds_differ_by_place_and_stay() -> None:
    places = [(0,), (1,), (0, "order"), (0, "order", 1), (0, "latents", 1), (0, 1)]
    seeds = {seeding.derive(*place) for place in places}  # type: ignore[arg-type]
    assert len(seeds) == len(places)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert seeding.derive(5, "weights") == 1052819590312456978


def _players_and_batch(**changes: object) -> tuple[object, Batch, object]:
    config = make("resnet", {"network.width": 2, "network.latent_dim": 4, **changes})
    torch.manual_seed(0)
    players = make_players(config, Shape(16, 16, 1, 2), torch.device("cpu"))
    batch = Batch(
        torch.randint(0, 256, (8, 1, 16, 16), dtype=torch.uint8),
        Condition(torch.arange(8) % 2),
        torch.randn(2, 8, 4),
    )
    return players, batch, config


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("bf16", [False, True])
def test_one_step_moves_both_players_and_the_average(name: str, bf16: bool) -> None:
    players, batch, config = _players_and_batch(**{"loss.name": name, "loss.r2_gamma": 1.0})
    before = copy.deepcopy(players)
    outcome = step(
        players, config.loss, batch, learning_rate=1e-2, average_weight=0.5, penalise=True, bf16=bf16
    )
    for network in ("generator", "discriminator", "average"):
        old, new = getattr(before, network), getattr(players, network)
        pairs = list(zip(old.parameters(), new.parameters(), strict=True))
        assert sum(not torch.equal(a, b) for a, b in pairs) > len(pairs) / 2
        assert all(b.dtype == torch.float32 for _, b in pairs)
    for value in vars(outcome).values():
        assert torch.isfinite(value)
    assert all(parameter.requires_grad for parameter in players.discriminator.parameters())


def test_the_penalty_pulls_the_discriminators_gradient_down() -> None:
    norms = {}
    for gamma in (0.0, 100.0):
        players, batch, config = _players_and_batch(**{"loss.r1_gamma": gamma, "loss.penalty_interval": 1})
        for _ in range(30):
            step(
                players, config.loss, batch, learning_rate=3e-3, average_weight=0.5, penalise=True, bf16=False
            )
        real = batch.real.float() / 127.5 - 1
        norms[gamma] = penalties.gradient_norm(players.discriminator, real, batch.condition).item()
    assert norms[100.0] < 0.2 * norms[0.0]
