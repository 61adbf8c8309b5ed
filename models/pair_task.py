"""The tasks of networks that score pairs: what the trainer needs to train them."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, embedding
from tqdm import tqdm

from events.arrays import F32, I32, I64
from events.log import SessionLog
from models.factor_settings import HybridSettings, NeuMFSettings
from models.pair_network import PairNetwork
from models.pairs import Pairs
from models.parallel import rank_and_size
from models.table import ItemTable

SAMPLED = 99
"""Other items among which the held-out one is to be found."""

TOP = 10

HELD_OUT = 5_000
"""At most so many held-out sessions are asked after an epoch."""


class Clock:
    """Samples and seconds since the last look."""

    def __init__(self) -> None:
        self._samples, self._since = 0, time.perf_counter()

    def add(self, samples: int) -> None:
        """Count samples."""
        self._samples += samples

    def show(self, name: str, found: str) -> None:
        """Say what a validation found, above the bar, and the samples a second before it; start anew."""
        rate = self._samples / max(time.perf_counter() - self._since, 1e-9)
        if rank_and_size()[0] == 0:
            tqdm.write(f"{name}: {found}, {rate:,.0f} samples/s")

    def restart(self) -> None:
        """Count from here."""
        self._samples, self._since = 0, time.perf_counter()


@dataclass(frozen=True, slots=True)
class Events:
    """Events int64[B] of the log, before which the sessions are looked at; items int64[B, 1 + K], the true one first.

    histories : int64[B, H] table rows of what came before, latest first;  weights : float32[B, H], 0 for none
    """

    histories: I64
    weights: F32
    items: I64


class NextItemAmongOthers:
    """Binary cross-entropy of each event's item against items without an event in its session.

    The table holds the rows of users (or of the items of histories) first, then those of items.
    """

    def __init__(
        self,
        name: str,
        settings: NeuMFSettings,
        module: PairNetwork,
        table: ItemTable,
        log: SessionLog,
        known: I32,
        fade: F32,
        device: torch.device,
    ) -> None:
        """``known``: int32 items that occur, ascending; ``fade``: float32[H] weights of the history."""
        self.module: nn.Module = module
        self.table = table
        self._name, self._settings, self._log, self._known, self._fade = name, settings, log, known, fade
        self._device = device
        self._first_item = table.weight.shape[0] - log.n_items
        owner = log.owner()
        self._owner = owner.astype(np.int32)
        self._seen = np.sort(owner * log.n_items + log.aids)
        last = log.offsets[1:][log.lengths > 1] - 1
        held_out = round(settings.training.holdout * last.size)
        rng = np.random.default_rng(settings.training.seed)
        self._held_out = np.sort(rng.permutation(last)[:held_out])
        usable = np.ones(log.n_events, np.bool_)
        usable[self._held_out] = False
        if settings.users == "history":
            usable[log.offsets[:-1][log.lengths > 0]] = False  # nothing came before
        self._events = np.flatnonzero(usable)
        self._clock = Clock()

    def batches(self, epoch: int, skip: int) -> Iterator[tuple[Events, float]]:
        """The events of an epoch in a drawn order, each process its share, with negatives drawn for the epoch."""
        settings, (rank, size) = self._settings, rank_and_size()
        order = np.random.default_rng([settings.training.seed, epoch]).permutation(self._events)
        step = max(1, settings.training.batch_tokens // (1 + settings.negatives)) * size
        for number, first in enumerate(range(0, order.size, step)):
            if number >= skip:
                part = order[first : first + step]
                mine = part[rank::size] if part.size >= size else part
                draw = np.random.default_rng([settings.training.seed, epoch, number, rank])
                yield self._make(mine, settings.negatives, draw), min(1.0, (first + step) / order.size)

    def loss(self, batch: Events, step: int) -> tuple[Tensor, int, int]:  # noqa: ARG002  (nothing is drawn here)
        """Mean over the batch's events and negatives."""
        logits = self._logits(batch)
        truth = torch.zeros_like(logits)
        truth[:, 0] = 1
        self._clock.add(logits.numel())
        return binary_cross_entropy_with_logits(logits, truth), logits.numel(), logits.numel()

    @torch.no_grad()
    def validate(self) -> float | None:
        """Share of held-out sessions whose last item is among the best 10 of it and 99 others (HR@10)."""
        if self._held_out.size == 0:
            return None
        asked = self._held_out[:HELD_OUT]
        batch = self._make(asked, SAMPLED, np.random.default_rng(self._settings.training.seed))
        hits = 0
        for first in range(0, asked.size, 256):
            part = slice(first, first + 256)
            logits = self._logits(Events(batch.histories[part], batch.weights[part], batch.items[part]))
            hits += int(((logits[:, 1:] >= logits[:, :1]).sum(1) < TOP).sum())
        found = hits / asked.size
        self._clock.show(self._name, f"HR@{TOP} among {SAMPLED} others {found:.4f}")
        self._clock.restart()
        return found

    def _make(self, events: I64, negatives: int, rng: np.random.Generator) -> Events:
        log, owner = self._log, self._owner[events]
        items = np.empty((events.size, 1 + negatives), np.int64)
        items[:, 0] = log.aids[events]
        items[:, 1:] = self._draw(owner, negatives, rng)
        if self._settings.users == "embedding":
            histories, weights = owner[:, None].astype(np.int64), np.ones((events.size, 1), np.float32)
        else:
            before = events[:, None] - 1 - np.arange(self._fade.size)
            there = before >= log.offsets[owner][:, None]
            histories = np.where(there, log.aids[np.maximum(before, 0)], 0).astype(np.int64)
            weights = np.where(there, self._fade, np.float32(0))
        return Events(histories, weights, items)

    def _draw(self, owner: I32, negatives: int, rng: np.random.Generator) -> I64:
        """int64[B, K] items that occur, but not in these sessions; after some tries, any."""
        drawn = self._known[rng.integers(0, self._known.size, (owner.size, negatives))].astype(np.int64)
        for _ in range(20):
            keys = owner[:, None].astype(np.int64) * self._log.n_items + drawn
            place = np.minimum(np.searchsorted(self._seen, keys), self._seen.size - 1)
            rows, columns = np.nonzero(self._seen[place] == keys)
            if rows.size == 0:
                break
            drawn[rows, columns] = self._known[rng.integers(0, self._known.size, rows.size)]
        return drawn

    def _logits(self, batch: Events) -> Tensor:
        """float[B, 1 + K]."""
        histories = torch.from_numpy(batch.histories).to(self._device)
        weights = torch.from_numpy(batch.weights).to(self._device)
        items = torch.from_numpy(batch.items).to(self._device) + self._first_item
        rows, (before, asked) = self.table.lookup([histories, items])
        total = weights.sum(1, keepdim=True).clamp_min(1e-12)
        # The gradient of ``embedding`` adds in a fixed order on the CPU, that of indexing does not. This sum is not
        # rounded to bf16, as a matrix product would be.
        users = (embedding(before, rows) * (weights / total)[:, :, None]).sum(1, keepdim=True)  # [B, 1, d]
        logits: Tensor = self.module(users.expand(-1, items.shape[1], -1), embedding(asked, rows))
        return logits.float()


class TargetsOfPairs:
    """Binary cross-entropy of pairs with targets from 0 to 1. The table holds the users first, then the items."""

    def __init__(
        self,
        name: str,
        settings: HybridSettings,
        module: PairNetwork,
        table: ItemTable,
        pairs: Pairs,
        device: torch.device,
    ) -> None:
        self.module: nn.Module = module
        self.table = table
        self._name, self._settings, self._device = name, settings, device
        self._fitted, self._held_out = pairs.split(settings.training.holdout, settings.training.seed)
        self._clock = Clock()

    def batches(self, epoch: int, skip: int) -> Iterator[tuple[Pairs, float]]:
        """The pairs of an epoch in a drawn order, each process its share."""
        settings, (rank, size) = self._settings.training, rank_and_size()
        order = np.random.default_rng([settings.seed, epoch]).permutation(len(self._fitted))
        step = settings.batch_tokens * size
        for number, first in enumerate(range(0, order.size, step)):
            if number >= skip:
                part = order[first : first + step]
                mine = part[rank::size] if part.size >= size else part
                yield self._fitted.take(mine), min(1.0, (first + step) / order.size)

    def loss(self, batch: Pairs, step: int) -> tuple[Tensor, int, int]:  # noqa: ARG002  (nothing is drawn here)
        """Mean over the batch's pairs."""
        self._clock.add(len(batch))
        targets = torch.from_numpy(batch.targets).to(self._device)
        return binary_cross_entropy_with_logits(self._logits(batch), targets), len(batch), len(batch)

    @torch.no_grad()
    def validate(self) -> float | None:
        """Geometric mean of the likelihood of held-out pairs; their accuracy at one half is shown."""
        if len(self._held_out) == 0:
            return None
        cost, right = 0.0, 0
        for first in range(0, len(self._held_out), 65_536):
            part = self._held_out.take(np.arange(first, min(first + 65_536, len(self._held_out))))
            logits, targets = self._logits(part).cpu(), torch.from_numpy(part.targets)
            cost += float(binary_cross_entropy_with_logits(logits, targets, reduction="sum"))
            right += int(((logits > 0) == (targets > 0.5)).sum())
        cost, accuracy = cost / len(self._held_out), right / len(self._held_out)
        self._clock.show(self._name, f"held-out accuracy {accuracy:.4f}, cross-entropy {cost:.4f}")
        self._clock.restart()
        return float(np.exp(-cost))

    def _logits(self, batch: Pairs) -> Tensor:
        users = torch.from_numpy(batch.users.astype(np.int64)).to(self._device)
        items = torch.from_numpy(batch.items.astype(np.int64)).to(self._device) + batch.n_users
        rows, (one, other) = self.table.lookup([users, items])
        logits: Tensor = self.module(embedding(one, rows), embedding(other, rows))
        return logits.float()
