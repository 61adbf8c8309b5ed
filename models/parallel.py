"""Data-parallel training: processes that torchrun started hold replicas, and average their gradients."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, distributed


@contextmanager
def process_group(device: str) -> Iterator[tuple[int, int]]:
    """Rank and number of the processes; joins those of torchrun, or is (0, 1) where it was not used."""
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ or distributed.is_initialized():
        yield rank_and_size()
        return
    distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield rank_and_size()
    finally:
        distributed.destroy_process_group()


def rank_and_size() -> tuple[int, int]:
    """Rank of this process and number of processes; (0, 1) alone."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def share_from_first(tensors: Iterable[Tensor]) -> None:
    """Overwrite these tensors by those of the first process."""
    if rank_and_size()[1] > 1:
        for tensor in tensors:
            distributed.broadcast(tensor, 0)


def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Average the gradients over the processes, in one message."""
    size = rank_and_size()[1]
    if size == 1:
        return
    gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= size
    for parameter, part in zip(parameters, torch.split(flat, [g.numel() for g in gradients]), strict=True):
        parameter.grad = part.view(parameter.shape).clone()


def gather_rows(rows: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """The union of all processes' rows int64[U], and the mean of their gradients float32[U, d] (0: none there)."""
    size = rank_and_size()[1]
    if size == 1:
        return rows, gradient
    count = torch.tensor([rows.numel()], device=rows.device)
    counts = [torch.empty_like(count) for _ in range(size)]
    distributed.all_gather(counts, count)
    most = max(int(one) for one in counts)
    padded_rows = torch.full((most,), -1, dtype=rows.dtype, device=rows.device)
    padded = torch.zeros((most, gradient.shape[1]), dtype=gradient.dtype, device=gradient.device)
    padded_rows[: rows.numel()], padded[: rows.numel()] = rows, gradient
    all_rows, all_gradients = (
        [torch.empty_like(padded_rows) for _ in counts],
        [torch.empty_like(padded) for _ in counts],
    )
    distributed.all_gather(all_rows, padded_rows)
    distributed.all_gather(all_gradients, padded)
    flat = torch.cat(all_rows)
    there = flat >= 0
    union, inverse = torch.unique(flat[there], return_inverse=True)
    total = torch.zeros((union.numel(), gradient.shape[1]), dtype=gradient.dtype, device=gradient.device)
    total.index_add_(0, inverse, torch.cat(all_gradients)[there])
    return union, total / size
