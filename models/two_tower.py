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

What is known of items (``models.two_tower_items``) and of sessions (``models.two_tower_users``) goes in beside the
events. Items that no fitted session holds may get their vectors from what is known of them: in training some items of a
step are seen without their own embedding and their popularity (Volkovs et al., DropoutNet, NeurIPS 2017). Without any
knowledge the model is what it was.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from events.arrays import F32, I32, I64, Flags
from events.columns import TARGETS
from events.lists import Lists
from events.log import SessionLog
from models.batches import GAP_BUCKETS, Batch
from models.compact import KnownItems, keep_known
from models.exact import best_items
from models.holdout import TOP, HeldOut
from models.network import DISTANCES, SessionNetwork
from models.parallel import rank_and_size
from models.sequence import NextItems, SequenceRetriever
from models.training_settings import SequenceSettings
from models.two_tower_items import ItemFeatures, ItemTower
from models.two_tower_settings import TwoTowerSettings
from models.two_tower_users import UserBatch, UserBatches, UserFeatures, UserInput, encode_users


class SessionTower(SessionNetwork):
    """Weighted means of the session's items, the last item, and counts of events by type; two layers behind them."""

    def __init__(
        self,
        settings: TwoTowerSettings,
        has: frozenset[str],
        users: UserFeatures | None = None,
        fitted: I64 | None = None,
    ) -> None:
        """``users``: attributes of sessions, of which those of int64 ``fitted`` say what is usual."""
        super().__init__(settings, Pooling, has)
        self.users = None if users is None else UserInput(settings.dim, users, fitted)

    def states(
        self,
        embedded: Tensor,
        types: Tensor,
        gaps: Tensor,
        lengths: Tensor,  # noqa: ARG002
        users: Tensor | None = None,
    ) -> Tensor:
        """float[B, L, d], each from the events up to it and ``users`` float[B, d]; see :class:`SessionNetwork`."""
        states: Tensor = self.encoder(self.embed(embedded, types, gaps), types, gaps)
        return states if users is None else states + users[:, None]


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
        users: UserFeatures | None = None,
    ) -> None:
        """``features``: of the items of the log, then of those that get a vector without events."""
        super().__init__(settings, network, weight, log, held_out, device, hard)
        self._users = users
        self._bare = settings.id_dropout if features.known else 0.0
        counts = np.bincount(log.aids, minlength=log.n_items)
        with torch.random.fork_rng():
            torch.manual_seed(settings.training.seed + 1)
            self._tower = ItemTower(settings, counts, features).to(device)
        self.module = nn.ModuleDict({"session": network, "item": self._tower})

    def batches(self, epoch: int, skip: int) -> Iterator[tuple[Batch, float]]:
        """As :class:`NextItems`; with their sessions, where something is known of these."""
        if self._users is None:
            return super().batches(epoch, skip)
        settings, (rank, size) = self._settings, rank_and_size()
        training = settings.training
        made = UserBatches(self._log, settings.length, training.batch_tokens, self._rule, training.seed, rank, size)
        return made.epoch(epoch, skip)

    def _states(self, batch: Batch, embedded: Tensor) -> Tensor:
        network = self._network
        if self._users is None:
            return super()._states(batch, embedded)
        assert isinstance(network, SessionTower)
        assert isinstance(batch, UserBatch)
        assert network.users is not None
        numeric, codes = self._users.rows(batch.sessions)
        added = network.users(numeric.to(self._device), codes.to(self._device))
        types, gaps, lengths = self._move(batch.types), self._move(batch.gaps), self._move(batch.lengths)
        return network.states(embedded, types, gaps, lengths, added)

    def read_items(self, rows: Tensor) -> Tensor:
        """float[U, d] of the rows of the last lookup, from the tower."""
        bare = torch.rand(len(rows), device=rows.device) < self._bare if self._bare else None
        read: Tensor = self._tower(rows, self.table.rows, bare)
        return read

    def inputs(self) -> F32:
        """float32[n_items, d] of all items of the log, from the tower."""
        return self._tower.all_items(self.table.weight)

    def cold_inputs(self) -> F32:
        """float32[n, d] of the items that only the features hold."""
        n, dim = self.table.weight.shape
        return self._tower.all_items(self.table.weight.new_zeros(len(self._tower.numbers) - n, dim), n)

    def validate(self) -> float | None:
        """As :class:`NextItems`."""
        users, network, held_out = self._users, self._network, self._held_out
        if users is None or held_out is None:
            return super().validate()
        assert isinstance(network, SessionTower)
        table, known = self.inputs(), KnownItems.of(self._log).known
        vectors = network.items(torch.from_numpy(table)).detach().numpy()
        visible, _ = keep_known(held_out.log, known)

        def recommend(log: SessionLog, target: str) -> Lists:
            codes = [TARGETS.index(target)]
            queries = encode_users(network, users, table, log, self._settings.length, codes, self._device)[0]
            return best_items(log, queries, vectors, known, TOP)

        return HeldOut(visible, held_out.labels).recall(recommend)


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
        users: UserFeatures | None = None,
    ) -> None:
        """As :class:`SequenceRetriever`; ``features`` of items and ``users`` of sessions where a shop has them.

        hard : int32[n_items, H] items that stand against each positive, -1 for none: co-visited ones, say
        """
        super().__init__(name, settings, threads, work)
        self._features, self._hard, self._users = features or ItemFeatures(), hard, users
        self._fitted: I64 | None = None
        self._task: TowerItems | None = None

    def fit(self, log: SessionLog) -> Self:
        """As :class:`SequenceRetriever`; then give the cold items their vectors."""
        self._fitted = log.sessions
        super().fit(log)
        task, self._task = self._task, None
        cold = self._cold(self._known)
        if cold.size:
            assert task is not None
            assert self._network is not None
            self._known, self._table = self._known.copy(), self._table.copy()
            self._vectors = self._vectors.copy()
            inputs = task.cold_inputs()
            self._known[cold], self._table[cold] = True, inputs
            self._vectors[cold] = self._network.items(torch.from_numpy(inputs)).detach().numpy()
        return self

    def _cold(self, known: Flags) -> I64:
        flags = self._features.cold
        return np.zeros(0, np.int64) if flags is None else np.flatnonzero(flags & ~known)

    def _new_network(self, has: frozenset[str]) -> SessionNetwork:
        return SessionTower(self.settings, has, self._users, self._fitted)

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
        rows = np.concatenate([np.flatnonzero(items.known), self._cold(items.known)])
        features = self._features.take(rows)
        self._task = TowerItems(
            self.settings, network, weight, train, held_out, self._device, features, hard, self._users
        )
        return self._task

    def _encode(self, log: SessionLog, targets: Sequence[str | None]) -> dict[str | None, tuple[F32, F32 | None]]:
        if self._users is None:
            return super()._encode(log, targets)
        assert isinstance(self._network, SessionTower)
        less, _ = keep_known(log, self._known)
        codes = [0 if target is None else TARGETS.index(target) for target in targets]
        found = encode_users(self._network, self._users, self._table, less, self.settings.length, codes, self._device)
        return {target: (one, None) for target, one in zip(targets, found, strict=True)}
