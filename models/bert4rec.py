"""BERT4Rec: a transformer that reads the session both ways, trained by guessing hidden items.

Sun et al., BERT4Rec: sequential recommendation with bidirectional encoder representations from transformer (CIKM 2019).

Differences to the paper: event types, time gaps and the target are inputs (a hidden event's type is the target that is
asked for, its gap is hidden with it); the hidden event after the last one, which a recommendation is read from, is
trained in every window and stands for one of several later items of a target, and a share of the windows ends at a
random event with nothing else hidden (the paper hides only the last event in some samples); layer normalisation before
each block; the loss is a setting (the sampled softmax by default, where the paper has the full one, and no bias of
items); optionally cosine scores with a learned temperature. An item may be recommended again.

An unseen session gets its vector by reading its events with a hidden one after them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from events.arrays import Flags
from events.log import SessionLog
from models.batches import Batch
from models.bert4rec_settings import BERT4RecSettings
from models.compact import KnownItems
from models.holdout import HeldOut
from models.network import SessionNetwork
from models.parallel import rank_and_size
from models.sequence import NextItems, SequenceRetriever
from models.training_settings import SequenceSettings
from models.transformer import Block


class Cloze(nn.Module):
    """The encoder: hidden events, positions, blocks, a last layer normalisation."""

    def __init__(self, settings: SequenceSettings) -> None:
        super().__init__()
        assert isinstance(settings, BERT4RecSettings)
        self.hidden = nn.Parameter(0.02 * torch.randn(settings.dim))
        self.positions = nn.Embedding(settings.length + 1, settings.dim)
        nn.init.normal_(self.positions.weight, std=0.02)
        blocks = [Block(settings.dim, settings.heads, settings.dropout) for _ in range(settings.layers)]
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(settings.dim)

    def guess(self, embedded: Tensor, lengths: Tensor, hidden: Tensor | None = None) -> Tensor:
        """float[B, L + 1, d]: states of events float[B, L, d], some ``hidden`` bool[B, L], and one more hidden one.

        That one stands behind the last event of each session, at place ``lengths``.
        """
        places = torch.arange(embedded.shape[1] + 1, device=embedded.device)
        unseen = places == lengths[:, None]
        if hidden is not None:
            unseen = unseen | F.pad(hidden, (0, 1))
        # Counted from the end, as in sequences that are padded on the left: the hidden event behind them is place 0.
        back = (lengths[:, None] - places).clamp(min=0)
        states = torch.where(unseen[:, :, None], self.hidden, F.pad(embedded, (0, 0, 0, 1))) + self.positions(back)
        there = (places <= lengths[:, None])[:, None, None, :]
        for block in self.blocks:
            states = block(states, there)
        normed: Tensor = self.norm(states)
        return normed

    def forward(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """float[B, L, d] to the same: at the last event of a session the state of the hidden one after it."""
        return self.guess(embedded, lengths)[:, 1:]


@dataclass(frozen=True, slots=True)
class ClozeBatch(Batch):
    """A batch whose places are those of B sequences of L + 1 events, the last of each hidden.

    hidden : bool[B, L] the others that are
    """

    hidden: Flags


class ClozeItems(NextItems):
    """The task of BERT4Rec: hidden events, and what comes after the last one."""

    def __init__(
        self,
        settings: BERT4RecSettings,
        network: SessionNetwork,
        weight: Tensor,
        log: SessionLog,
        held_out: HeldOut | None,
        device: torch.device,
    ) -> None:
        super().__init__(settings, network, weight, log, held_out, device)
        self._cloze, self._seed = settings, settings.training.seed

    def batches(self, epoch: int, skip: int) -> Iterator[tuple[Batch, float]]:
        """The batches of a sequence model, with events hidden at random."""
        for number, (batch, share) in enumerate(super().batches(epoch, skip), skip):
            rng = np.random.default_rng((self._seed, epoch, number, rank_and_size()[0]))
            yield hide(batch, self._cloze.hidden_share, self._cloze.cut_share, rng), share

    def _states(self, batch: Batch, embedded: Tensor) -> Tensor:
        assert isinstance(batch, ClozeBatch)
        encoder = self._network.encoder
        assert isinstance(encoder, Cloze)
        read = self._network.embed(embedded, self._move(batch.types), self._move(batch.gaps))
        hidden = torch.from_numpy(batch.hidden).to(self._device, non_blocking=True)
        return encoder.guess(read, self._move(batch.lengths), hidden)


def hide(batch: Batch, hidden_share: float, cut_share: float, rng: np.random.Generator) -> ClozeBatch:
    """Cut some windows at a random event, hide events of the others, and ask for what is hidden.

    What follows the last event is the positive that the batch has for it; a hidden event's positive is its own item,
    and its type the target. The last event of a window of one event is never hidden.
    """
    b, length = batch.items.shape
    cut: Flags = rng.random((b,)) < cut_share
    lengths = np.where(cut, 1 + (rng.random(b) * batch.lengths).astype(np.int64), batch.lengths)
    may_hide: Flags = ~cut[:, None] & (np.arange(length) < lengths[:, None])
    hidden: Flags = may_hide & (rng.random((b, length)) < hidden_share)
    hidden[np.flatnonzero(hidden.sum(axis=1) == lengths)] = False
    after = np.full((b, length), -1, np.int64)
    after.ravel()[batch.places] = np.arange(batch.places.size)
    asked = after[np.arange(b), lengths - 1]
    rows, inside = np.flatnonzero(asked >= 0), np.flatnonzero(hidden)
    return ClozeBatch(
        items=batch.items,
        types=batch.types,
        gaps=batch.gaps,
        lengths=lengths,
        places=np.concatenate([rows * (length + 1) + lengths[rows], inside + inside // length]),
        targets=np.concatenate([batch.targets[asked[rows]], batch.types.ravel()[inside]]),
        positives=np.concatenate([batch.positives[asked[rows]], batch.items.ravel()[inside]]),
        hidden=hidden,
    )


class BERT4Rec(SequenceRetriever):
    """The transformer that reads both ways as a retriever."""

    encoder = Cloze
    settings: BERT4RecSettings

    def _new_task(
        self,
        network: SessionNetwork,
        weight: Tensor,
        train: SessionLog,
        held_out: HeldOut | None,
        items: KnownItems,  # noqa: ARG002
    ) -> NextItems:
        return ClozeItems(self.settings, network, weight, train, held_out, self._device)
