"""Tuning of retrievers: every proposal is allowed, sessions keep to their side, bad epochs end a trial."""

import random
from pathlib import Path

import numpy as np
import pytest

from events.errors import InputError
from events.log import SessionLog
from models.building import Conditions
from models.factor_settings import AlsSettings
from models.sequence import SequenceRetriever
from models.settings import DEFAULT_RETRIEVERS
from models.study import Choice, Space, Values, Whole
from models.trainer import Epoch
from models.training_settings import GRU4RecSettings
from models.tuning import SPACES, RetrieverTuning, as_tree, value_of, with_values

CONDITIONS = Conditions(seed=1, threads=1)
SMALL = GRU4RecSettings(dim=16, hidden=16, training={"epochs": 4, "batch_tokens": 256, "threads": 1})


def chains(n: int = 240) -> SessionLog:
    """Sessions that run along a ring of 30 items; two neighbours are of one group."""
    log = SessionLog.of([[(3 * s + step) % 30 for step in range(2 + s % 5)] for s in range(n)], n_items=30)
    return SessionLog(log.sessions, log.sessions // 2, log.offsets, log.aids, None, None, log.n_items)


def drawn(space: Space, draw: random.Random) -> Values:
    values: Values = {}
    for key, one in space.items():
        if isinstance(one, Choice):
            values[key] = draw.choice(one.values)
        else:
            values[key] = one.nearest(draw.uniform(one.low, one.high) if not isinstance(one, Whole) else one.low)
    return values


@pytest.mark.parametrize("kind", SPACES)
def test_every_proposal_is_allowed_and_read_back(kind: str) -> None:
    settings = DEFAULT_RETRIEVERS[kind]
    draw = random.Random(5)
    for _ in range(60):
        values = drawn(SPACES[kind], draw)
        tuned = with_values(settings, values)
        assert {key: value_of(tuned, key) for key in values} == values
        assert type(settings).model_validate({"kind": kind, **as_tree(values)}).kind == kind
        assert tuned.model_dump(include={"on", "k"}) == settings.model_dump(include={"on", "k"})


def test_the_last_tenth_is_halved_by_groups_and_never_fitted(tmp_path: Path) -> None:
    log = chains()
    search = RetrieverTuning("als", AlsSettings(dim=8), log, CONDITIONS)
    chosen, compared = search._halves
    groups = [set(log.groups[rows].tolist()) for rows in (np.arange(search._first), chosen, compared)]
    assert groups[0].isdisjoint(groups[1] | groups[2])
    assert groups[1].isdisjoint(groups[2])
    assert min(chosen.min(), compared.min()) >= search._first > 200
    found = search.search(tmp_path / "als.jsonl", 3, "data")
    again = RetrieverTuning("als", AlsSettings(dim=8), log, CONDITIONS).search(tmp_path / "als.jsonl", 3, "data")
    assert found == again
    assert found.value > 0.3
    before, after, groups_of_rows = search.compare(found.values)
    assert len(before) == len(after) == groups_of_rows.size == int((log.lengths[compared] - 1).sum())


def test_an_epoch_worse_than_the_median_ends_the_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SPACES, "gru4rec", {"dropout": SPACES["gru4rec"]["dropout"]})  # type: ignore[index]
    epochs: list[int] = []

    def fit(self: SequenceRetriever, log: SessionLog) -> SequenceRetriever:
        """Worse with every trial, and nothing is trained."""
        assert self.settings.training.holdout > 0
        assert self.on_epoch is not None
        epochs.append(0)
        for number in range(4):
            epochs[-1] = number + 1
            self.on_epoch(Epoch(number, 1.0, 1.0 / len(epochs), 1, 1.0))
        return self

    monkeypatch.setattr(SequenceRetriever, "fit", fit)
    monkeypatch.setattr("models.tuning.rank_hits", lambda *_: _Half())
    found = RetrieverTuning("gru4rec", SMALL, chains(), CONDITIONS).search(tmp_path / "g.jsonl", 8, "data")
    assert epochs == [4, 4, 4, 4, 4, 2, 2, 2]
    assert found.pruned == 3


class _Half:
    """Hits of which half are right."""

    recall = 0.5


def test_a_sequence_model_reports_each_epoch() -> None:
    search = RetrieverTuning("gru4rec", SMALL, chains(), CONDITIONS)
    heard: list[tuple[int, float]] = []
    hits = search._hits(search._prepared({"training.epochs": 2}), search._chosen_by, lambda *one: heard.append(one))
    assert [step for step, _ in heard] == [1, 2]
    assert all(0 <= recall <= 1 for _, recall in heard)
    assert hits.recall is not None


def test_mistakes_are_said() -> None:
    with pytest.raises(InputError, match="retrievers of kind svd are not tuned"):
        RetrieverTuning("mine", DEFAULT_RETRIEVERS["svd"], chains(), CONDITIONS)
    with pytest.raises(InputError, match="too few train sessions"):
        RetrieverTuning("als", AlsSettings(), chains(6), CONDITIONS)
