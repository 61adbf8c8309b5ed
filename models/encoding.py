"""Sessions to vectors, in batches of fixed shapes: a session's vector is the same, bit for bit, in any company.

A matrix product rounds differently for another number of rows. So sessions are grouped by their length, rounded up to
a power of two, and encoded so many at a time, short batches filled up.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from events.arrays import F32, I64, Flags
from events.columns import TARGETS
from events.log import SessionLog
from models.batches import pad
from models.network import SessionNetwork

ROWS = {"cpu": 32, "cuda": 2048}
"""Sessions encoded at a time."""


def keep_known(log: SessionLog, known: Flags) -> tuple[SessionLog, I64 | None]:
    """The log without events on unknown items, and int64 places of those kept; ``None`` if all are."""
    kept = known[log.aids]
    if kept.all():
        return log, None
    before = np.zeros(log.n_events + 1, np.int64)
    np.cumsum(kept, out=before[1:])
    places = np.flatnonzero(kept)
    less = SessionLog(
        sessions=log.sessions,
        groups=log.groups,
        offsets=before[log.offsets],
        aids=log.aids[places],
        ts=None if log.ts is None else log.ts[places],
        types=None if log.types is None else log.types[places],
        n_items=log.n_items,
    )
    return less, places


def fixed_batches(log: SessionLog, length: int, rows: int) -> Iterator[tuple[I64, I64, I64, int]]:
    """Sessions with events, in batches of one shape: (sessions int64[n <= rows], starts int64[rows], sizes, L).

    The last ``length`` events of each are read; places beyond the n sessions repeat the first.
    """
    sizes = np.minimum(log.lengths, length)
    width = 1
    while True:
        mine = np.flatnonzero((sizes > width // 2) & (sizes <= width))
        for first in range(0, mine.size, rows):
            part = mine[first : first + rows]
            filled = np.concatenate([part, np.full(rows - part.size, part[0])])
            yield part, log.offsets[filled + 1] - sizes[filled], sizes[filled], min(width, length)
        if width >= length:
            return
        width *= 2


@torch.no_grad()
def encode(
    network: SessionNetwork, table: F32, log: SessionLog, length: int, targets: Sequence[int], device: torch.device
) -> list[tuple[F32, F32 | None]]:
    """For each target the query vectors float32[S, d] of sessions (0 without events), and float32[N] of what their own
    events add to their items (``None`` without copying). Sessions are read once for all targets.

    table  : float32[n_items, d] input embeddings;  targets : of 0 clicks, 1 carts, 2 orders
    """
    copies = network.copying is not None
    # All targets are asked together, and whichever are wanted: a call costs more than what it computes, and products
    # of another number of rows would round differently.
    kinds = 1 if network.asking.targets is None else len(TARGETS)
    targets = [min(target, kinds - 1) for target in targets]
    found = [
        (np.zeros((len(log), table.shape[1]), np.float32), np.zeros(log.n_events, np.float32) if copies else None)
        for _ in targets
    ]
    for sessions, starts, sizes, width in fixed_batches(log, length, ROWS[device.type]):
        inputs = pad(log, starts, sizes, width)
        items, types, gaps = (torch.from_numpy(one).to(device) for one in inputs)
        rows = torch.from_numpy(table[inputs[0]]).to(device)
        lengths = torch.from_numpy(sizes).to(device)
        states = network.states(rows, types, gaps, lengths)
        last = states[torch.arange(len(states), device=device), lengths - 1]
        n, (rows_of_batch, dim) = sessions.size, last.shape
        there = np.arange(width) < sizes[:n, None]
        events = (starts[:n, None] + np.arange(width))[there]
        of_rows = torch.arange(kinds, device=device).repeat_interleave(rows_of_batch)
        asked = network.ask(last.repeat(kinds, 1), of_rows).view(kinds, rows_of_batch, dim)
        queries = asked[:, :n].cpu().numpy()
        for target, (vectors, _) in zip(targets, found, strict=True):
            vectors[sessions] = queries[target]
        if copies:
            bonus = copy_bonus(network, asked, states, items, network.items(rows), lengths)[:, :n].cpu().numpy()
            for target, (_, added) in zip(targets, found, strict=True):
                if added is not None:
                    added[events] = bonus[target][there]
    return found


def copy_bonus(
    network: SessionNetwork, queries: Tensor, states: Tensor, items: Tensor, vectors: Tensor, lengths: Tensor
) -> Tensor:
    """float[T, B, L]: what copying adds to the score s of each event's item: ln(1 + Σ e^a / e^s), a over its places.

    The last event on an item has it all, the others 0. Queries are float[T, B, d], for T targets.
    """
    assert network.copying is not None
    places = torch.arange(items.shape[1], device=items.device)
    last = (lengths - 1)[:, None].expand(-1, len(queries))
    logits = network.copying(queries.transpose(0, 1), states, last).transpose(0, 1)
    scores = (queries[:, :, None] * vectors).sum(-1)
    there = places < lengths[:, None]
    same = (items[:, :, None] == items[:, None, :]) & there[:, None, :]
    mass = torch.logsumexp(torch.where(same, logits[:, :, None, :], -math.inf), dim=3)
    later = (same & (places[None, None, :] > places[None, :, None])).any(2)
    bonus = torch.nn.functional.softplus(mass - scores)
    return torch.where(there & ~later, bonus, 0.0)
