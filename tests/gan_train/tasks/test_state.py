from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from gan_train.tasks import state
from gan_train.tasks.base import Players

Make = Callable[[nn.Module], torch.optim.Optimizer]
OPTIMIZERS: dict[str, Make] = {
    "adam": lambda network: torch.optim.Adam(network.parameters(), 0.1),
    "amsgrad": lambda network: torch.optim.Adam(network.parameters(), 0.1, amsgrad=True),
    "momentum": lambda network: torch.optim.SGD(network.parameters(), 0.1, momentum=0.9),
    "rmsprop": lambda network: torch.optim.RMSprop(network.parameters(), 0.1),
}


def make(optimizer: Make) -> Players:
    torch.manual_seed(3)
    network = nn.Linear(4, 2)
    return Players({"only": network}, {}, {"only": optimizer(network)})


def learn(players: Players, steps: int) -> None:
    for step in range(steps):
        players.optimizers["only"].zero_grad()
        players.networks["only"](torch.full((3, 4), 1.0 + step)).square().sum().backward()
        players.optimizers["only"].step()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_whatever_an_optimizer_keeps_comes_back(name: str) -> None:
    first, second = make(OPTIMIZERS[name]), make(OPTIMIZERS[name])
    learn(first, 3)
    state.restore(second, {key: tensor.clone() for key, tensor in state.tensors(first).items()})
    learn(first, 2)
    learn(second, 2)
    weights = [players.networks["only"].state_dict() for players in (first, second)]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
