"""BERT4Rec keeps the contract; what is hidden is not seen."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from events.log import SessionLog
from models.batches import PositiveRule, TrainingBatches
from models.bert4rec import BERT4Rec, Cloze, ClozeItems, hide
from models.bert4rec_settings import BERT4RecSettings
from models.compact import KnownItems
from tests.models.contract import RetrieverContract
from tests.models.test_sequence import quick
from tests.models.worlds import chain_log


class TestBERT4Rec(RetrieverContract):
    @staticmethod
    def make(seed: int) -> BERT4Rec:
        settings = BERT4RecSettings(**quick(seed))
        training = settings.training.model_copy(update={"epochs": 5})
        return BERT4Rec("bert4rec", settings.model_copy(update={"training": training}))


@given(
    hidden_share=st.sampled_from([0.0, 0.3, 0.9]), cut_share=st.sampled_from([0.0, 0.5, 1.0]), seed=st.integers(0, 99)
)
@settings(max_examples=50, deadline=None)
def test_places_ask_for_what_is_hidden(hidden_share: float, cut_share: float, seed: int) -> None:
    log = chain_log(40, seed=seed)
    for batch, _ in TrainingBatches(log, 6, 100, PositiveRule(), seed).epoch(0):
        cloze = hide(batch, hidden_share, cut_share, np.random.default_rng(seed))
        b, length = batch.items.shape
        rows, places = np.divmod(cloze.places, length + 1)
        behind = places == cloze.lengths[rows]
        assert np.unique(cloze.places).size == cloze.places.size
        assert rows[behind].tolist() == list(range(b))  # each window has its end asked
        assert (places <= cloze.lengths[rows]).all()
        assert cloze.hidden.sum() == (~behind).sum()
        assert cloze.hidden[rows[~behind], places[~behind]].all()
        inner = rows[~behind], places[~behind]
        np.testing.assert_array_equal(cloze.positives[~behind], batch.items[inner])
        np.testing.assert_array_equal(cloze.targets[~behind], batch.types[inner])
        ends = rows[behind] * length + cloze.lengths[rows[behind]] - 1
        chosen = np.searchsorted(batch.places, ends)
        np.testing.assert_array_equal(cloze.positives[behind], batch.positives[chosen])
        np.testing.assert_array_equal(cloze.targets[behind], batch.targets[chosen])
        assert (cloze.hidden.sum(axis=1) < cloze.lengths).all()
        assert not cloze.hidden[cloze.lengths < batch.lengths].any()


def test_hidden_events_and_padding_are_not_read() -> None:
    encoder = Cloze(BERT4RecSettings(dim=8, length=5)).eval()
    embedded = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(1))
    lengths, hidden = torch.tensor([5, 3]), torch.zeros(2, 5, dtype=torch.bool)
    hidden[0, 2] = True
    states = encoder.guess(embedded, lengths, hidden)
    changed = embedded.clone()
    changed[0, 2] = 9.0
    changed[1, 3:] = 9.0
    again = encoder.guess(changed, lengths, hidden)
    torch.testing.assert_close(again[0], states[0])
    torch.testing.assert_close(again[1, :4], states[1, :4])
    changed[0, 4] = 9.0  # a later event is read
    assert not torch.allclose(encoder.guess(changed, lengths, hidden)[0, 2], states[0, 2])


def test_copying_is_refused() -> None:
    with pytest.raises(ValueError, match="one way"):
        BERT4RecSettings(copying=True)
    with pytest.raises(ValueError, match="multiple"):
        BERT4RecSettings(dim=9)


def test_hidden_types_are_asked_as_targets() -> None:
    log = SessionLog.of([[0, 1, 2, 3]], [[1, 2, 3, 4]], [[0, 1, 2, 0]])
    batch, _ = next(TrainingBatches(log, 5, 100, PositiveRule(), 0).epoch(0))
    cloze = hide(batch, 0.9, 0.0, np.random.default_rng(1))
    for place, target, positive in zip(cloze.places, cloze.targets, cloze.positives, strict=True):
        assert (target, positive) == (log.type_codes()[place], log.aids[place])


def test_what_is_hidden_depends_on_the_place_in_the_epoch_alone() -> None:
    log = chain_log(400, seed=1)
    model = TestBERT4Rec.make(3)
    task = model._new_task(model._new_network(log.has), torch.zeros(log.n_items, 32), log, None, KnownItems.of(log))
    assert isinstance(task, ClozeItems)
    whole = [batch for batch, _ in task.batches(1, 0)]
    rest = [batch for batch, _ in task.batches(1, 2)]
    assert len(rest) == len(whole) - 2 > 0
    for ours, theirs in zip(whole[2:], rest, strict=True):
        for name in ("items", "lengths", "hidden", "places", "targets", "positives"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
