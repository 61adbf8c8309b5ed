"""Attributes of sessions (of the customers that they are of) in the tower of sessions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from events.arrays import F32, I32, I64
from events.knowledge.fitted import Knowledge
from events.log import SessionLog
from events.randomness import mix
from models.batches import Batch, TrainingBatches, pad, plan_epoch
from models.encoding import ROWS, fixed_batches


@dataclass(frozen=True, slots=True)
class UserFeatures:
    """What is known of the sessions of a pass, by ``SessionLog.sessions``.

    numeric : float32[S, A], NaN where unknown;  codes : int32[S, B] from 0, -1 where unknown
    """

    numeric: F32
    codes: I32

    @classmethod
    def of(cls, knowledge: Knowledge | None) -> "UserFeatures | None":
        """Those of a pass, if there are any."""
        if knowledge is None or knowledge.users is None:
            return None
        return cls(knowledge.users.numeric, knowledge.users.categorical)

    def rows(self, sessions: I64) -> tuple[Tensor, Tensor]:
        """float[B, A], NaN where unknown, and codes int64[B, B'] from 0 for unknown; sessions may be unknown."""
        known = (sessions >= 0) & (sessions < len(self.numeric))
        at = np.where(known, sessions, 0)
        numeric = np.where(known[:, None], self.numeric[at], np.float32(np.nan)).astype(np.float32)
        codes = np.where(known[:, None], self.codes[at], -1).astype(np.int64) + 1
        return torch.from_numpy(numeric), torch.from_numpy(codes)


class UserInput(nn.Module):
    """What a session's attributes add to its state: numbers pass a linear layer, each category has an embedding."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, dim: int, users: UserFeatures, fitted: I64 | None) -> None:
        """``fitted``: int64 rows that numbers are brought to mean 0 and deviation 1 by; ``None`` before loading."""
        super().__init__()
        width = users.numeric.shape[1]
        mean, deviation = np.zeros(width, np.float32), np.ones(width, np.float32)
        if fitted is not None:
            mean, deviation = moments(users.numeric[fitted])
        self.register_buffer("mean", torch.from_numpy(mean))
        self.register_buffer("deviation", torch.from_numpy(deviation))
        self.numbers = nn.Linear(width, dim)
        nn.init.zeros_(self.numbers.weight)
        nn.init.zeros_(self.numbers.bias)
        sizes = users.codes.max(axis=0, initial=-1) + 2
        self.embeddings = nn.ModuleList(nn.Embedding(int(size), dim) for size in sizes)
        for embedding in self.embeddings:
            assert isinstance(embedding, nn.Embedding)
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, numeric: Tensor, codes: Tensor) -> Tensor:
        """float[B, d] of numbers float[B, A] and codes int64[B, B'] from 0 for unknown."""
        scaled = ((numeric - self.mean) / self.deviation).nan_to_num(0.0)
        out: Tensor = self.numbers(scaled)
        for c, embedding in enumerate(self.embeddings):
            out = out + embedding(codes[:, c])
        return out


def moments(numbers: F32) -> tuple[F32, F32]:
    """float32[A] means and deviations of columns, unknown ones left out; 1 for a deviation of 0."""
    wide = numbers.astype(np.float64)
    known = np.isfinite(wide)
    counts = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, wide, 0.0).sum(axis=0) / counts
    deviation = np.sqrt((np.where(known, wide - mean, 0.0) ** 2).sum(axis=0) / counts)
    return mean.astype(np.float32), np.where(deviation > 0, deviation, 1.0).astype(np.float32)


@dataclass(frozen=True, slots=True)
class UserBatch(Batch):
    """A batch that knows whose windows it holds: int64[B] rows of the table of sessions."""

    sessions: I64


class UserBatches(TrainingBatches):
    """The same batches, with their sessions."""

    def epoch(self, number: int, skip: int = 0) -> Iterator[tuple[UserBatch, float]]:
        """See :class:`TrainingBatches`."""
        seed = int(np.int64(mix(self._seed, number) >> np.uint64(1)))
        order, bounds = plan_epoch(self.windows, self._tokens, seed)
        for i, (batch, share) in zip(count(skip), super().epoch(number, skip), strict=False):
            b = i * self._parts + self._part
            ends = self.windows.ends[order[bounds[b] : bounds[b + 1]]]
            # Empty sessions end where the one before them does.
            owners = np.searchsorted(self._log.offsets, ends, side="left") - 1
            fields = (batch.items, batch.types, batch.gaps, batch.lengths, batch.places, batch.targets, batch.positives)
            yield UserBatch(*fields, self._log.sessions[owners]), share


class ReadsUsers(Protocol):
    """What is asked of a session tower here; see ``models.two_tower.SessionTower``."""

    users: UserInput | None

    def states(self, embedded: Tensor, types: Tensor, gaps: Tensor, lengths: Tensor, users: Tensor | None) -> Tensor:
        """float[B, L, d]."""
        ...

    def ask(self, states: Tensor, targets: Tensor) -> Tensor:
        """float32[..., d]."""
        ...


@torch.no_grad()
def encode_users(
    network: ReadsUsers, users: UserFeatures, table: F32, log: SessionLog, length: int, targets: Sequence[int],
    device: torch.device,
) -> list[F32]:  # fmt: skip
    """As ``models.encoding.encode``, of a session tower with attributes; it never copies.

    A session without events has the vector 0, whatever is known of it.
    """
    assert network.users is not None
    found = [np.zeros((len(log), table.shape[1]), np.float32) for _ in targets]
    for sessions, starts, sizes, width in fixed_batches(log, length, ROWS[device.type]):
        items, types, gaps = pad(log, starts, sizes, width)
        whose = np.full(starts.size, log.sessions[sessions[0]], np.int64)
        whose[: sessions.size] = log.sessions[sessions]
        numeric, codes = users.rows(whose)
        rows, lengths = torch.from_numpy(table[items]).to(device), torch.from_numpy(sizes).to(device)
        added = network.users(numeric.to(device), codes.to(device))
        kinds, waits = torch.from_numpy(types).to(device), torch.from_numpy(gaps).to(device)
        states = network.states(rows, kinds, waits, lengths, added)
        last = states[torch.arange(len(states), device=device), lengths - 1]
        for target, queries in zip(targets, found, strict=True):
            asked = network.ask(last, torch.full((len(last),), target, device=device))
            queries[sessions] = asked[: sessions.size].cpu().numpy()
    return found
