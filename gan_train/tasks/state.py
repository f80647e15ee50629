"""A run's state between steps, and its way to a checkpoint's tensors and back, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from gan_infer.errors import OptionError
from gan_train.tasks.base import Players


def tensors(players: Players) -> dict[str, Tensor]:
    """Return every tensor that the next step depends on, by name."""
    named: dict[str, Tensor] = {}
    for name, network in _networks(players):
        for key, tensor in network.state_dict().items():
            named[f"{name}.{key}"] = tensor
    for name, optimizer, network in _optimizers(players):
        for key, parameter in network.named_parameters():
            for item, tensor in optimizer.state[parameter].items():
                named[f"{name}.{key}.{item}"] = tensor
    return {**named, **players.buffers}


def restore(players: Players, stored: Mapping[str, Tensor]) -> None:
    """Set players to what `tensors` gave.

    Raises:
        OptionError: the tensors are not those of these networks.
    """
    try:
        for name, network in _networks(players):
            load_network(network, stored, name)
        for name, optimizer, network in _optimizers(players):
            _restore_optimizer(optimizer, network, stored, name)
        for name, tensor in players.buffers.items():
            tensor.copy_(stored[name])
    except (KeyError, RuntimeError) as error:
        raise _other_networks(error) from None


def _restore_optimizer(
    optimizer: torch.optim.Optimizer, network: nn.Module, stored: Mapping[str, Tensor], name: str
) -> None:
    """Set what an optimizer of any kind keeps of each parameter; nothing before the first step."""
    for key, parameter in network.named_parameters():
        prefix = f"{name}.{key}."
        state = {
            item.removeprefix(prefix): tensor.clone()
            for item, tensor in stored.items()
            if item.startswith(prefix)
        }
        for item, tensor in state.items():
            if tensor.shape == parameter.shape and item != "step":
                # In the parameter's memory format: the layout is part of what must come back.
                state[item] = torch.empty_like(parameter).copy_(tensor)
            elif optimizer.defaults.get("capturable"):
                state[item] = tensor.to(parameter.device)
        if state:
            optimizer.state[parameter] = state


def _other_networks(error: Exception) -> OptionError:
    return OptionError(
        f"the checkpoint does not fit these networks ({' '.join(str(error).split())[:160]}); "
        "was config.json changed?"
    )


@torch.no_grad()
def put_back(players: Players, before: Mapping[str, Tensor]) -> None:
    """Set every tensor in place to what `tensors` gave; what had no value then becomes 0.

    In place, because a recorded CUDA graph knows tensors by their addresses.
    """
    for name, tensor in tensors(players).items():
        if name in before:
            tensor.copy_(before[name])
        else:
            tensor.zero_()


def load_network(network: nn.Module, stored: Mapping[str, Tensor], name: str) -> None:
    """Load one network or average in place, by its name in the players.

    Raises:
        OptionError: the tensors are not those of this network.
    """
    prefix = f"{name}."
    own = {key.removeprefix(prefix): value for key, value in stored.items() if key.startswith(prefix)}
    try:
        network.load_state_dict(own, strict=True)
    except RuntimeError as error:
        raise _other_networks(error) from None


def first_non_finite(players: Players) -> str | None:
    """Name the first network with a weight that is not finite; None where all are."""
    for name, network in _networks(players):
        if not all(bool(torch.isfinite(tensor).all()) for tensor in network.parameters()):
            return name
    return None


def _networks(players: Players) -> Iterator[tuple[str, nn.Module]]:
    yield from players.networks.items()
    yield from players.averages.items()


def _optimizers(players: Players) -> Iterator[tuple[str, torch.optim.Optimizer, nn.Module]]:
    for name, optimizer in players.optimizers.items():
        yield f"{name}_optimizer", optimizer, players.networks[name]
