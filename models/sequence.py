"""Sequence models as retrievers: one encoder of the session, one item table, trained to predict what comes later."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from events.arrays import F32, I32, I64, Flags
from events.columns import TARGETS
from events.errors import InputError
from events.files import need_array, read_json, save_arrays, write_json
from events.log import SessionLog
from models.batches import Batch, PositiveRule, TrainingBatches
from models.checkpoint import load_state, save_state
from models.compact import KnownItems, keep_known, spread_events
from models.copying import copied_softmax
from models.encoding import encode
from models.exact import best_items
from models.holdout import TOP, HeldOut, hold_out
from models.losses import correct_logq, full_softmax, mask_collisions, sampled_loss, shared_softmax
from models.negatives import NegativeSampler
from models.network import SessionNetwork
from models.parallel import rank_and_size
from models.table import DenseTable, ItemTable
from models.trainer import Epoch, Trainer, pick_device
from models.training_settings import SequenceSettings


class SequenceRetriever:
    """A retriever whose session encoder reads the last events in order, their types and the gaps between them.

    The target is an input of the encoder's last layer (``models.network.Queries``), so one model serves clicks, carts
    and orders. An unseen session gets its vector like any other: by reading its events; items that no fitted session
    holds are passed over. Uses types and time where a log has them; needs neither.
    """

    needs: frozenset[str] = frozenset()
    encoder: ClassVar[Any]

    def __init__(self, name: str, settings: SequenceSettings, threads: int = 0, work: Path | None = None) -> None:
        """``threads`` of torch, 0 leaves them; ``work`` keeps the checkpoint of the training, ``None`` none."""
        self.name, self.settings, self._work = name, settings, work
        self._threads = settings.training.threads or threads
        self._device = pick_device(settings.training.device)
        self.targets: tuple[str, ...] = ()
        self.history: list[Epoch] = []
        self.on_epoch: Callable[[Epoch], None] | None = None
        self._network: SessionNetwork | None = None
        self._table: F32 = np.zeros((0, settings.dim), np.float32)
        self._vectors = self._table
        self._known: Flags = np.zeros(0, np.bool_)

    @property
    def known(self) -> Flags:
        """bool[n_items] items of fitted sessions."""
        return self._known

    def fit(self, log: SessionLog) -> Self:
        """Train on the sessions with two events or more, but those held out for early stopping."""
        training = self.settings.training
        log = log.slice(max(0, len(log) - (training.sessions or len(log))), len(log))
        items = KnownItems.of(log)
        log, self._known = items.renumber(log), items.known
        train, held_out = hold_out(log, training.holdout, training.holdout_sessions, training.seed)
        with torch.random.fork_rng():
            torch.manual_seed(training.seed)
            network = self._new_network(log.has).to(self._device)
            weight = torch.randn(log.n_items, self.settings.dim) / np.sqrt(self.settings.dim)
        task = self._new_task(network, weight.to(self._device), train, held_out, items)
        identity = [type(self).__name__, self.settings.model_dump(mode="json"), len(log), log.n_events, sorted(log.has)]
        trainer = Trainer(self.name, training.model_copy(update={"threads": self._threads}), self._work, identity)
        self.history = trainer.run(task, self.on_epoch)
        self._table = items.spread(task.inputs())
        self._vectors = network.items(torch.from_numpy(self._table)).detach().numpy()
        self._set(network, log.has)
        return self

    def item_vectors(self, target: str | None = None) -> F32:  # noqa: ARG002  (targets share the items' vectors)
        """float32[n_items, d], one set for all targets."""
        return self._vectors

    def session_vectors(self, log: SessionLog, target: str | None = None) -> F32:
        """float32[S, d] of what goes on with each session; of clicks where no target is named."""
        return self._encode(log, [target])[target][0]

    def revisits(self, log: SessionLog, target: str | None = None) -> F32 | None:
        """float32[N] of what copying adds to the items of the session; ``None`` without copying."""
        return self._encode(log, [target])[target][1]

    def save(self, folder: Path) -> None:
        """Write the network, the item table and the items' vectors."""
        assert self._network is not None
        save_state(folder / "network", {"network": self._network.state_dict()})
        save_arrays(folder, table=self._table, known=self._known, vectors=self._vectors)
        write_json(folder / "model.json", {"has": sorted(self._has), "dim": self.settings.dim})

    def load(self, folder: Path) -> Self:
        """Open what :meth:`save` wrote; the table and the vectors are memory-mapped.

        Raises
        ------
        InputError
            If a file is missing or was written with other settings.
        """
        meta = read_json(folder / "model.json")
        network = self._new_network(frozenset(meta["has"])).to(self._device)
        try:
            network.load_state_dict(load_state(folder / "network")["network"])
        except (RuntimeError, KeyError):
            problem, remedy = "trained with other settings", "run the stage retrievers again"
            raise InputError(folder, None, problem, remedy) from None
        self._known, self._table = need_array(folder, "known"), need_array(folder, "table")
        self._vectors = need_array(folder, "vectors")
        self._set(network, frozenset(meta["has"]))
        return self

    def _new_network(self, has: frozenset[str]) -> SessionNetwork:
        return SessionNetwork(self.settings, type(self).encoder, has)

    def _new_task(
        self,
        network: SessionNetwork,
        weight: Tensor,
        train: SessionLog,
        held_out: HeldOut | None,
        items: KnownItems,  # noqa: ARG002  (for models with more knowledge of items)
    ) -> "NextItems":
        return NextItems(self.settings, network, weight, train, held_out, self._device)

    def _set(self, network: SessionNetwork, has: frozenset[str]) -> None:
        self._network, self._has = network.eval(), has
        self.targets = TARGETS if "types" in has else ()

    def encode(self, log: SessionLog) -> dict[str | None, tuple[F32, F32 | None]]:
        """For each target (``None`` if there is one set for all) the vectors and revisits, sessions read once."""
        return self._encode(log, self.targets or (None,))

    def _encode(self, log: SessionLog, targets: Sequence[str | None]) -> dict[str | None, tuple[F32, F32 | None]]:
        assert self._network is not None
        less, places = keep_known(log, self._known)
        codes = [0 if target is None else TARGETS.index(target) for target in targets]
        found = encode(self._network, self._table, less, self.settings.length, codes, self._device)
        return {
            target: (one, None if added is None else spread_events(added, places, log))
            for target, (one, added) in zip(targets, found, strict=True)
        }


class NextItems:
    """The task of a sequence model: each position of a session predicts one of the items that come later."""

    def __init__(
        self,
        settings: SequenceSettings,
        network: SessionNetwork,
        weight: Tensor,
        log: SessionLog,
        held_out: HeldOut | None,
        device: torch.device,
        hard: I32 | None = None,
    ) -> None:
        """``hard``: int32[n_items, H] items that stand against each positive beside the sampled ones, -1 for none."""
        self.module: nn.Module = network
        self._hard = None if hard is None or hard.shape[1] == 0 else torch.from_numpy(hard).to(device)
        self._network, self._settings, self._log = network, settings, log
        self._held_out, self._device = held_out, device
        self._full = settings.loss.name == "full_softmax"
        chosen = settings.training.item_optimizer
        self.table: ItemTable = DenseTable(weight) if self._full else ItemTable(weight, chosen)
        self._rule = PositiveRule(settings.target_weights, settings.horizon, settings.horizon_decay)
        self._sampler: NegativeSampler | None = None

    def batches(self, epoch: int, skip: int) -> Iterator[tuple[Batch, float]]:
        """The batches of an epoch, this process's share of them."""
        settings, (rank, size) = self._settings, rank_and_size()
        made = TrainingBatches(
            self._log, settings.length, settings.training.batch_tokens, self._rule, settings.training.seed, rank, size
        )
        return made.epoch(epoch, skip)

    def loss(self, batch: Batch, step: int) -> tuple[Tensor, int, int]:
        """Mean loss of the batch's positions."""
        network = self._network
        items, positives = self._move(batch.items), self._move(batch.positives)
        negatives, log_q = self._draw(step, positives)
        hard = self._against_each(positives)
        rows, (at, liked, against, near) = self.table.lookup([items, positives, negatives, hard])
        rows = self.read_items(rows)
        # The gradient of ``embedding`` is added up in a fixed order on a CPU, that of indexing is not.
        states, places = self._states(batch, embedding(at, rows)), self._move(batch.places)
        flat = states.reshape(-1, states.shape[2]).index_select(0, places)
        queries = network.ask(flat, self._move(batch.targets))
        vectors = network.items(rows)
        scores = (queries * embedding(liked, vectors)).sum(1)
        if self._full:
            losses = full_softmax(queries, vectors, positives)
        elif self._settings.loss.name == "sampled_softmax" and self._settings.loss.hardest is None and not near.numel():
            losses = shared_softmax(scores, queries, embedding(against, vectors), log_q, positives, negatives)
        else:
            losses = self._sampled_losses(
                scores, queries, vectors, (against, near), log_q, (positives, negatives, hard)
            )
        if network.copying is not None:
            logits = self._copy_logits(queries, states, places)
            losses = copied_softmax(losses, scores, logits, items[places // items.shape[1]] == positives[:, None])
        return losses.mean(), positives.numel(), int(batch.lengths.sum())

    def _sampled_losses(
        self,
        scores: Tensor,
        queries: Tensor,
        vectors: Tensor,
        at: tuple[Tensor, Tensor],
        log_q: Tensor | None,
        ids: tuple[Tensor, Tensor, Tensor],
    ) -> Tensor:
        """float[M] of any sampled loss: shared and hard negatives are rows ``at`` of the vectors, ``ids`` the items."""
        (against, near), (positives, negatives, hard) = at, ids
        found = (queries @ embedding(against, vectors).T).float()
        if log_q is not None:
            found = correct_logq(found, log_q)
        found = mask_collisions(found, positives, negatives)
        if near.numel():
            # Each stands against its positive once and surely: ln 1 is its correction.
            found = torch.cat(
                [found, mask_collisions(_each(queries, embedding(near, vectors)).float(), positives, hard)], dim=1
            )
        return self._sampled_loss(scores, found)

    def read_items(self, rows: Tensor) -> Tensor:
        """float[U, d]: what the rows float[U, d] of the last lookup are to the model, read and compared with."""
        return rows

    def inputs(self) -> F32:
        """float32[n_items, d]: the same of all items."""
        inputs: F32 = self.table.weight.detach().cpu().numpy()
        return inputs

    def _states(self, batch: Batch, embedded: Tensor) -> Tensor:
        """float[B, L, d] that the batch's places are places of."""
        types, gaps, lengths = self._move(batch.types), self._move(batch.gaps), self._move(batch.lengths)
        return self._network.states(embedded, types, gaps, lengths)

    def _move(self, array: I64) -> Tensor:
        return torch.from_numpy(array).to(self._device, non_blocking=True)

    def _against_each(self, positives: Tensor) -> Tensor:
        """int64[M, H] hard negatives; where an item has fewer, its own number, which counts as a collision."""
        if self._hard is None or self._full:
            return positives.new_zeros(positives.numel(), 0)
        hard = self._hard[positives].long()
        return torch.where(hard < 0, positives[:, None], hard)

    def _copy_logits(self, queries: Tensor, states: Tensor, places: Tensor) -> Tensor:
        """float[M, L], made for all positions of the batch at once."""
        assert self._network.copying is not None
        b, length, dim = states.shape
        asked = queries.new_zeros(b * length, dim).index_copy(0, places, queries).view(b, length, dim)
        positions = torch.arange(length, device=states.device).expand(b, length)
        logits: Tensor = self._network.copying(asked, states, positions)
        return logits.view(b * length, length).index_select(0, places)

    def validate(self) -> float | None:
        """Recall@20 of the held-out sessions."""
        if self._held_out is None:
            return None
        table = self.inputs()
        vectors = self._network.items(torch.from_numpy(table)).detach().numpy()
        known = KnownItems.of(self._log).known
        visible, _ = keep_known(self._held_out.log, known)

        def recommend(log: SessionLog, target: str) -> Any:
            codes = [TARGETS.index(target)]
            queries, added = encode(self._network, table, log, self._settings.length, codes, self._device)[0]
            return best_items(log, queries, vectors, known, TOP, added)

        return HeldOut(visible, self._held_out.labels).recall(recommend)

    def _draw(self, step: int, positives: Tensor) -> tuple[Tensor, Tensor | None]:
        """Negatives int64[K] of a step, and ln of how often each is to be expected, if scores are corrected by it."""
        settings = self._settings.negatives
        if self._full:
            return positives[:0], None
        if self._sampler is None:
            counts = np.bincount(self._log.aids, minlength=self._log.n_items)
            seed = self._settings.training.seed + rank_and_size()[0]
            self._sampler = NegativeSampler(counts, settings.uniform, settings.power, seed).to(self._device)
            self._sampled_loss = sampled_loss(self._settings.loss, self._sampler.sampling_rate)
        if settings.in_batch == 0:
            negatives, log_q = self._sampler.draw(step)
        else:
            chosen = torch.randperm(positives.numel(), device=positives.device)[: settings.in_batch]
            negatives, log_q = self._sampler.draw_with_batch(step, positives[chosen])
        corrected = settings.logq and self._settings.loss.name == "sampled_softmax"
        return negatives, log_q if corrected else None


def _each(queries: Tensor, vectors: Tensor) -> Tensor:
    """float[M, H] inner products of queries float[M, d] with vectors float[M, H, d] of their own."""
    return torch.bmm(vectors, queries[:, :, None].to(vectors.dtype)).squeeze(2)
