"""Two towers: one turns a session into a vector, the other an item; the better they fit, the nearer they lie.

Covington et al., Deep neural networks for YouTube recommendations (RecSys 2016); Yi et al., Sampling-bias-corrected
neural modeling for large corpus item recommendations (RecSys 2019).

Differences to the papers: every event of a session is a training example, read from the events up to it at once; items
are pooled with weights that are learned for places, recency and items, instead of a plain mean; the target is an input
of the session tower, which reads its items as the tower of items gives them, features included; beside the positives of
the batch there may be sampled and hard negatives, the chance to be drawn from either is corrected together, and known
from the counts instead of estimated as the training goes on; scores are not weighed by a reward.

An unseen session gets its vector like any other, by the tower. The tower of items is needed in training only: what is
kept are the vectors that it gave.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from events.arrays import F32, I32, I64, Flags
from events.log import SessionLog
from models.batches import GAP_BUCKETS
from models.compact import KnownItems
from models.holdout import HeldOut
from models.network import DISTANCES, SessionNetwork
from models.sequence import NextItems, SequenceRetriever
from models.training_settings import SequenceSettings
from models.two_tower_settings import TwoTowerSettings

BLOCK = 65_536
"""Items whose vectors are made at a time."""


@dataclass(frozen=True, slots=True)
class ItemFeatures:
    """What is known of n items beside their events.

    categorical : int32[n, C] codes from 0, -1 where unknown
    numeric     : float32[n, F], NaN where unknown; brought to mean 0 and deviation 1
    """

    categorical: I32 | None = None
    numeric: F32 | None = None

    def take(self, rows: Flags) -> "ItemFeatures":
        """Of the items where bool[n] ``rows`` is set."""
        categorical = None if self.categorical is None else self.categorical[rows]
        return ItemFeatures(categorical, None if self.numeric is None else self.numeric[rows])

    def check(self, n_items: int) -> None:
        """Raise ``ValueError`` unless there is a row for each item."""
        for name, array in (("categorical", self.categorical), ("numeric", self.numeric)):
            if array is not None and (array.ndim != 2 or len(array) != n_items):
                raise ValueError(f"{name} features must have a row for each of {n_items:,} items")


class SessionTower(SessionNetwork):
    """Weighted means of the session's items, the last item, and counts of events by type; two layers behind them."""

    def __init__(self, settings: TwoTowerSettings, has: frozenset[str]) -> None:
        super().__init__(settings, Pooling, has)

    def states(self, embedded: Tensor, types: Tensor, gaps: Tensor, lengths: Tensor) -> Tensor:  # noqa: ARG002
        """float[B, L, d], each from the events up to it; see :class:`SessionNetwork`."""
        states: Tensor = self.encoder(self.embed(embedded, types, gaps), types, gaps)
        return states


class Pooling(nn.Module):
    """The layers of the session tower, at every event."""

    def __init__(self, settings: SequenceSettings) -> None:
        super().__init__()
        assert isinstance(settings, TwoTowerSettings)
        dim, self.pools = settings.dim, settings.pools
        self.item = nn.Linear(dim, self.pools)
        self.distance = nn.Embedding(DISTANCES, self.pools)
        self.recency = nn.Embedding(GAP_BUCKETS, self.pools)
        for embedding in (self.distance, self.recency):
            nn.init.zeros_(embedding.weight)
        self.widen = nn.Linear(2 * dim + 4, settings.hidden)
        self.narrow = nn.Linear(settings.hidden, dim)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, embedded: Tensor, types: Tensor, gaps: Tensor) -> Tensor:
        """float[B, L, d] of events float[B, L, d], their types and gap buckets int64[B, L]."""
        b, length, dim = embedded.shape
        places = torch.arange(length, device=embedded.device)
        back = places[:, None] - places
        weights = self.item(embedded)[:, None] + self.distance(back.clamp(0, DISTANCES - 1)) + self.recency(ages(gaps))
        weights = weights.masked_fill((back < 0)[:, :, None], float("-inf")).softmax(dim=2)
        parts = embedded.view(b, length, self.pools, dim // self.pools)
        pooled = torch.einsum("btsp,bspe->btpe", weights.to(parts.dtype), parts).reshape(b, length, dim)
        events = (places + 1.0).expand(b, length)[:, :, None]
        counts = torch.cat([events, F.one_hot(types, 3).cumsum(1).to(events.dtype)], dim=2).log1p()
        inner = F.gelu(self.widen(torch.cat([pooled, embedded, counts.to(pooled.dtype)], dim=2)))
        states: Tensor = pooled + self.narrow(self.dropout(inner))
        return states


def ages(gaps: Tensor) -> Tensor:
    """int64[B, L, L]: bucket of the time from event s to event t, at [t, s]; 0 where s is not before t.

    Times are sums of powers of two, as gap buckets int64[B, L] tell them: at least half of the time itself.
    """
    since = torch.cumsum(torch.bitwise_left_shift(torch.ones_like(gaps), gaps), dim=1)
    apart = (since[:, :, None] - since[:, None, :]).clamp(min=1)
    return torch.frexp(apart.double()).exponent.long().sub_(1).clamp_(max=GAP_BUCKETS - 1)


class ItemTower(nn.Module):
    """The item's embedding, and what two layers add to it from popularity and features."""

    def __init__(self, settings: TwoTowerSettings, counts: I64, features: ItemFeatures) -> None:
        super().__init__()
        columns = [np.log1p(counts)[:, None]]
        if features.numeric is not None:
            columns.append(features.numeric)
        self.register_buffer("numbers", torch.from_numpy(standardise(np.hstack(columns))), persistent=False)
        codes = np.zeros((counts.size, 0), np.int32) if features.categorical is None else features.categorical
        # Code -1 is the first row of each embedding.
        self.register_buffer("codes", torch.from_numpy(codes.astype(np.int64) + 1), persistent=False)
        sizes = codes.max(axis=0, initial=-1) + 2
        self.embeddings = nn.ModuleList(nn.Embedding(int(size), settings.dim) for size in sizes)
        for embedding in self.embeddings:
            assert isinstance(embedding, nn.Embedding)
            nn.init.normal_(embedding.weight, std=0.02)
        inputs = 2 * settings.dim + self.numbers.shape[1]
        self.widen, self.narrow = nn.Linear(inputs, settings.hidden), nn.Linear(settings.hidden, settings.dim)
        nn.init.zeros_(self.narrow.weight)
        nn.init.zeros_(self.narrow.bias)

    numbers: Tensor
    codes: Tensor

    def forward(self, rows: Tensor, ids: Tensor) -> Tensor:
        """float[U, d] of item embeddings float[U, d] and items int64[U]."""
        sort = torch.zeros_like(rows)
        for c, embedding in enumerate(self.embeddings):
            sort = sort + embedding(self.codes[ids, c])
        inner = F.gelu(self.widen(torch.cat([rows, sort, self.numbers[ids].to(rows.dtype)], dim=1)))
        out: Tensor = rows + sort + self.narrow(inner)
        return out


def standardise(numbers: F32) -> F32:
    """float32[n, F] columns of mean 0 and deviation 1, unknown ones 0."""
    wide = numbers.astype(np.float64)
    known = np.isfinite(wide)
    counts = np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, wide - np.where(known, wide, 0.0).sum(axis=0) / counts, 0.0)
    deviation = np.sqrt((centred**2).sum(axis=0) / counts)
    scaled: F32 = (centred / np.where(deviation > 0, deviation, 1.0)).astype(np.float32)
    return scaled


class TowerItems(NextItems):
    """The task of the two towers."""

    def __init__(
        self,
        settings: TwoTowerSettings,
        network: SessionNetwork,
        weight: Tensor,
        log: SessionLog,
        held_out: HeldOut | None,
        device: torch.device,
        features: ItemFeatures,
        hard: I32 | None,
    ) -> None:
        super().__init__(settings, network, weight, log, held_out, device, hard)
        counts = np.bincount(log.aids, minlength=log.n_items)
        with torch.random.fork_rng():
            torch.manual_seed(settings.training.seed + 1)
            self._tower = ItemTower(settings, counts, features).to(device)
        self.module = nn.ModuleDict({"session": network, "item": self._tower})

    def read_items(self, rows: Tensor) -> Tensor:
        """float[U, d] of the rows of the last lookup, from the tower."""
        read: Tensor = self._tower(rows, self.table.rows)
        return read

    @torch.no_grad()
    def inputs(self) -> F32:
        """float32[n_items, d] of all items, from the tower."""
        weight = self.table.weight
        inputs = np.empty(weight.shape, np.float32)
        for first in range(0, len(weight), BLOCK):
            ids = torch.arange(first, min(first + BLOCK, len(weight)), device=weight.device)
            inputs[first : first + BLOCK] = self._tower(weight[ids], ids).cpu().numpy()
        return inputs


class TwoTower(SequenceRetriever):
    """The towers as a retriever."""

    encoder = Pooling
    settings: TwoTowerSettings

    def __init__(
        self,
        name: str,
        settings: TwoTowerSettings,
        threads: int = 0,
        work: Path | None = None,
        features: ItemFeatures | None = None,
        hard: I32 | None = None,
    ) -> None:
        """As :class:`SequenceRetriever`; ``features`` of items where a shop has them.

        hard : int32[n_items, H] items that stand against each positive, -1 for none: co-visited ones, say
        """
        super().__init__(name, settings, threads, work)
        self._features, self._hard = features or ItemFeatures(), hard

    def _new_network(self, has: frozenset[str]) -> SessionNetwork:
        return SessionTower(self.settings, has)

    def _new_task(
        self,
        network: SessionNetwork,
        weight: Tensor,
        train: SessionLog,
        held_out: HeldOut | None,
        items: KnownItems,
    ) -> NextItems:
        n_items, hard = items.known.size, self._hard
        self._features.check(n_items)
        if hard is not None:
            if len(hard) != n_items:
                raise ValueError(f"hard negatives must have a row for each of {n_items:,} items")
            hard = np.where(hard < 0, np.int32(-1), items.numbers()[hard])[items.known]
        features = self._features.take(items.known)
        return TowerItems(self.settings, network, weight, train, held_out, self._device, features, hard)
