"""Exchanges values between the processes that share each batch.

Processes are started by torchrun, which names them in environment variables; in a single process every
function here is the identity. Each process works on an equal slice of the batch, and takes means over
all of them, so that N processes do what one would do with the whole batch, up to rounding.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function

from gan_infer.errors import DeviceError, OptionError

Thing = TypeVar("Thing")

_BY_TORCHRUN: Final = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


def size() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return the number of this process among them, from 0."""
    return dist.get_rank() if size() > 1 else 0


def count_started() -> int:
    """Return the number of processes that torchrun started, 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextlib.contextmanager
def join(on_cuda: bool) -> Iterator[None]:
    """Join the processes that torchrun started, if it did, for the length of a block."""
    if count_started() == 1:
        yield
        return
    # Some of its functions take the group of the time of the import as a default argument, and other
    # parts of torch import it: imported later, it would keep the group alive beyond its end.
    importlib.import_module("torch.distributed.nn.functional")
    _check_surroundings(on_cuda)
    if on_cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    # Decisions travel through gloo, on the CPU; gradients on CUDA through NCCL.
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_cuda else "gloo")
    try:
        yield
    finally:
        # Ends gloo's threads; one that lets go of its last tensor while Python exits aborts it.
        dist.destroy_process_group()


def _check_surroundings(on_cuda: bool) -> None:
    """Refuse an environment that torchrun did not set up, or more processes than this machine has GPUs.

    Raises:
        OptionError, DeviceError: says what is missing.
    """
    missing = [name for name in _BY_TORCHRUN if not os.environ.get(name)]
    if missing:
        raise OptionError(
            f"WORLD_SIZE is {count_started()} in the environment and {', '.join(missing)} not set; "
            "start several processes by torchrun, or unset WORLD_SIZE to train with one"
        )
    if on_cuda and int(os.environ["LOCAL_RANK"]) >= torch.cuda.device_count():
        raise DeviceError(
            f"process {os.environ['LOCAL_RANK']} of this machine has no GPU: PyTorch sees "
            f"{torch.cuda.device_count()}; give no more than that as --nproc-per-node, or --device cpu"
        )


def share(batch_size: int) -> slice:
    """Return this process's slice of a batch.

    Raises:
        OptionError: the batch cannot be shared equally.
    """
    count = size()
    if batch_size % count:
        raise OptionError(
            f"a batch of {batch_size} cannot be shared equally by {count} processes; "
            f"give a multiple of {count} as --batch-size"
        )
    each = batch_size // count
    return slice(rank() * each, (rank() + 1) * each)


@torch.no_grad()
def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace each gradient by its mean over the processes, in one exchange."""
    if size() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    dist.all_reduce(flat)
    flat /= size()
    for gradient, part in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


@torch.no_grad()
def mean(value: Tensor) -> Tensor:
    """Return the mean of a tensor over the processes."""
    if size() == 1:
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total / size()


class _Mean(Function):
    """The mean over the processes; its gradient is the mean of theirs."""

    @staticmethod
    def forward(context: Any, value: Tensor) -> Tensor:
        return mean(value)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return mean(gradient)


def differentiable_mean(value: Tensor) -> Tensor:
    """Return the mean of a tensor over the processes, as an operation of the graph.

    Each process's loss is a mean over its own slice, and gradients are averaged afterwards: so the
    gradient that comes back here is averaged as well, not summed.
    """
    result: Tensor = _Mean.apply(value) if size() > 1 else value  # type: ignore[no-untyped-call]
    return result


def agree(*values: float) -> tuple[float, ...]:
    """Return the first process's numbers, on every process."""
    if size() == 1:
        return values
    agreed = torch.tensor(values, dtype=torch.float64)
    dist.broadcast(agreed, 0)
    return tuple(agreed.tolist())


def share_object(thing: Thing) -> Thing:
    """Return the first process's object, on every process."""
    if size() == 1:
        return thing
    box = [thing]
    dist.broadcast_object_list(box, 0, device=torch.device("cpu"))
    return box[0]
