"""Networks that score pairs of a user and an item from an embedding of each, and their files."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from events.arrays import F32, I64
from events.errors import InputError
from events.files import need_array, save_arrays
from models.checkpoint import load_state, save_state
from models.factor_settings import PairNetworkSettings

ROWS = 4096
"""Pairs scored at a time: always as many, since a matrix product rounds differently for another number of rows."""


class PairNetwork(nn.Module):
    """Logits of pairs: h·(p * q) over the first numbers of the embeddings, plus a network that reads the others.

    weighed : whether h is learnt (GMF of NeuMF), else it is 1: a dot product
    """

    def __init__(self, settings: PairNetworkSettings, weighed: bool) -> None:
        super().__init__()
        self.product = settings.product
        self.weights = nn.Parameter(torch.ones(settings.product)) if weighed and settings.product else None
        self.bias = nn.Parameter(torch.zeros(1))
        self.mlp = _mlp(settings) if settings.mlp else None

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """float[...] of embeddings float[..., product + mlp] of users and items of one shape."""
        product = users[..., : self.product] * items[..., : self.product]
        if self.weights is not None:
            product = product * self.weights
        logits = product.sum(-1) + self.bias
        if self.mlp is not None:
            both = torch.cat([users[..., self.product :], items[..., self.product :]], -1)
            logits = logits + self.mlp(both).squeeze(-1)
        return logits


def _mlp(settings: PairNetworkSettings) -> nn.Sequential:
    widths = [2 * settings.mlp, *settings.layers]
    layers: list[nn.Module] = [nn.Dropout(settings.dropout)]
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(settings.dropout)]
    return nn.Sequential(*layers, nn.Linear(widths[-1], 1))


@torch.no_grad()
def score_pairs(network: PairNetwork, users: F32, user_rows: I64, items: F32, item_rows: I64) -> F32:
    """float32[R] logits of pairs of a row of ``users`` and one of ``items``; a pair's does not depend on others.

    Runs on the CPU, where ``network`` must be.
    """
    network.eval()
    out = np.empty(user_rows.size, np.float32)
    for first in range(0, out.size, ROWS):
        part = slice(first, min(first + ROWS, out.size))
        size = part.stop - first
        held = [np.zeros((ROWS, table.shape[1]), np.float32) for table in (users, items)]
        held[0][:size], held[1][:size] = users[user_rows[part]], items[item_rows[part]]
        out[part] = network(torch.from_numpy(held[0]), torch.from_numpy(held[1])).numpy()[:size]
    return out


def save_network(folder: Path, network: PairNetwork, users: F32, items: F32) -> None:
    """Write a network, on the CPU, and its two tables into an existing folder."""
    save_state(folder / "network", {"network": network.state_dict()})
    save_arrays(folder, users=users, items=items)


def load_network(folder: Path, network: PairNetwork, width: int) -> tuple[F32, F32]:
    """Fill a network from what :func:`save_network` wrote; return its tables, memory-mapped.

    Raises
    ------
    InputError
        If a file is missing or was written with other settings.
    """
    try:
        network.load_state_dict(load_state(folder / "network")["network"])
    except (RuntimeError, KeyError):
        raise InputError(folder, None, "trained with other settings", "train the model again") from None
    users, items = need_array(folder, "users"), need_array(folder, "items")
    if users.shape[1] != width or items.shape[1] != width:
        raise InputError(folder, None, f"embeddings of width {users.shape[1]}", "train the model again")
    return users, items
