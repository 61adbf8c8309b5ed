"""Negatives for a training step: sampled items shared by all rows, and the positives of the batch.

With every negative comes the logarithm of how often it is to be expected among all K' of them, from both sources
together: the correction that makes the sampled softmax a stand-in for the full one (``models.losses.correct_logq``).
Counting both sources at once keeps the sum unbiased where an item may come from either (the balance heuristic of
Veach & Guibas, SIGGRAPH 1995).
"""

import numpy as np
import torch
from torch import Tensor

from events.arrays import I32, I64, U32
from events.compiled import kernel
from events.randomness import mix
from models.alias import alias_table


class NegativeSampler:
    """Draws K items a step with replacement, an item with probability in proportion to count^power.

    counts : int64[n_items] events of each item among the positives; items of count 0 are never drawn
    draws  : K
    power  : 0 uniform over the items that occur, 1 by popularity; .5 to .75 is usual between them
    seed   : a step's draw is a pure function of (seed, step); data-parallel processes take different seeds

    Raises
    ------
    ValueError
        If no item occurs, or there are 2^31 items or more.
    """

    def __init__(self, counts: I64, draws: int, power: float = 0.0, seed: int = 0) -> None:
        items = np.flatnonzero(counts)
        if not 0 < items.size < 2**31:
            raise ValueError("negatives are drawn from at least one item and fewer than 2^31")
        weights = counts[items].astype(np.float64) ** power
        shares = weights / weights.sum()
        self.draws, self._seed = draws, seed
        self._items = items.astype(np.int32)
        self._keep, self._other = alias_table(shares)
        sampled = np.zeros(counts.size, np.float32)
        sampled[items] = shares
        self._sampled = torch.from_numpy(sampled)
        # A positive that was not counted has come once: without any share its score would be corrected to infinity.
        self._in_batch = torch.from_numpy((np.maximum(counts, 1) / counts.sum()).astype(np.float32))

    @property
    def sampling_rate(self) -> float:
        """K over the number of items that may be a negative, at most 1."""
        return min(1.0, self.draws / max(1, self._items.size - 1))

    def to(self, device: torch.device | str) -> "NegativeSampler":
        """Keep the tables of probabilities on this device, where draws shall go; return self."""
        self._sampled, self._in_batch = self._sampled.to(device), self._in_batch.to(device)
        return self

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """(int64[K] items, float32[K] ln of the expected number of each) of a step, counted from 0."""
        ids = torch.from_numpy(drawn(self._seed, step, self.draws, self._items, self._keep, self._other))
        ids = ids.to(self._sampled.device, non_blocking=True)
        return ids, (self.draws * self._sampled[ids]).log()

    def draw_with_batch(self, step: int, batch: Tensor) -> tuple[Tensor, Tensor]:
        """(int64[K'], float32[K']): the step's draw, then the positives int64[B] of the batch; K' = K + B.

        A positive comes into the batch with its share of all events; a row's own positive is among them and must be
        masked (``models.losses.mask_collisions``), so that B - 1 of them count.
        """
        drawn_ids, _ = self.draw(step) if self.draws else (batch[:0], None)
        ids = torch.cat([drawn_ids, batch])
        expected = self.draws * self._sampled[ids] + max(1, batch.numel() - 1) * self._in_batch[ids]
        return ids, expected.log()


@kernel
def drawn(seed: int, step: int, draws: int, items: I32, keep: U32, other: I32) -> I64:
    """int64[draws] items by the alias table: the high half of 64 random bits gives the place, the low half decides."""
    out = np.empty(draws, np.int64)
    n = np.uint64(items.size)
    for i in range(draws):
        bits = mix(seed, step * draws + i)
        place = np.int64(((bits >> np.uint64(32)) * n) >> np.uint64(32))
        low = bits & np.uint64(0xFFFFFFFF)
        out[i] = items[place if low < np.uint64(keep[place]) else other[place]]
    return out
