"""Tuning of the rankers: unseen groups choose nothing, and what is found can be used."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from events.errors import InputError
from events.labels import LabelSet
from models.study import Choice
from rankers.matrix import TrainingMatrix
from rankers.settings import RankersSettings
from rankers.tuning import NEGATIVES, SPACE, RankerTuning, as_settings, values_of, with_values
from submissions.metrics import Hits
from tests.rankers.world import POOL, QUICK, World, log_of, write_world

N = 500
WORLD = World.plain(empty=frozenset({3}))
LABELS = WORLD.planted(N, "clicks")
SETTINGS = QUICK.model_copy(update={"lambdarank": QUICK.lambdarank.model_copy(update={"max_trees": 12})})


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> TrainingMatrix:
    path = tmp_path_factory.mktemp("tuning") / "m.parquet"
    return write_world(path, WORLD, log_of(N, per_group=2), {"clicks": LABELS})


def tuning(
    matrix: TrainingMatrix, labels: LabelSet | None = None, settings: RankersSettings = SETTINGS
) -> RankerTuning:
    of_sessions = (LABELS if labels is None else labels).take(matrix.sessions)
    return RankerTuning(matrix, of_sessions, "clicks", settings, k=3, threads=1)


def trials(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) | {"seconds": 0} for line in path.read_text().splitlines()]


def test_unseen_groups_never_enter_a_trial(matrix: TrainingMatrix, tmp_path: Path) -> None:
    honest = tuning(matrix)
    found = honest.search(tmp_path / "honest.jsonl", 7)
    unseen = honest.unseen
    assert 0.1 < unseen.mean() < 0.3
    assert set(matrix.groups[unseen].tolist()).isdisjoint(matrix.groups[~unseen].tolist())
    # Their labels moved, one candidate on, in the matrix and outside it: neither trial nor choice may notice.
    rows = np.repeat(unseen, np.diff(matrix.offsets))
    marks = np.where(rows, np.roll(matrix.labels["clicks"], 1), matrix.labels["clicks"])
    poisoned = replace(matrix, labels={"clicks": marks})
    others = {int(session) for session in matrix.sessions[unseen]}
    moved = LabelSet.of([[0, 1, 2] if s in others else LABELS.row(s).tolist() for s in range(N)])
    again = tuning(poisoned, moved)
    assert again.search(tmp_path / "poisoned.jsonl", 7) == found
    assert trials(tmp_path / "poisoned.jsonl") == trials(tmp_path / "honest.jsonl")
    assert again.fit(found.values).text == honest.fit(found.values).text
    seen_hits, poisoned_hits = honest.compare(found.values)[1], again.compare(found.values)[1]
    assert len(seen_hits) == unseen.sum()
    assert seen_hits.recall != poisoned_hits.recall


def test_a_search_goes_on_where_it_was(matrix: TrainingMatrix, tmp_path: Path) -> None:
    whole = tuning(matrix).search(tmp_path / "whole.jsonl", 6)
    tuning(matrix).search(tmp_path / "parts.jsonl", 2)
    assert tuning(matrix).search(tmp_path / "parts.jsonl", 6) == whole
    assert trials(tmp_path / "parts.jsonl") == trials(tmp_path / "whole.jsonl")
    assert whole.value >= whole.first


def test_values_become_settings_of_the_target_alone() -> None:
    values = values_of(SETTINGS, "clicks") | {"num_leaves": 23, NEGATIVES: 0.125}
    assert tuple(values) == tuple(SPACE)
    given = RankersSettings.model_validate(as_settings("clicks", values, 30)["rankers"])
    assert values_of(given, "clicks") == values
    assert given.of("clicks").lambdarank.early_stopping_rounds == 30
    assert values_of(given, "carts") == values_of(RankersSettings(), "carts")
    assert values_of(with_values(SETTINGS, "clicks", values), "clicks") == values


def test_trials_stop_early_where_the_settings_do_not(matrix: TrainingMatrix) -> None:
    never = SETTINGS.lambdarank.model_copy(update={"early_stopping_rounds": 0})
    search = tuning(matrix, settings=SETTINGS.model_copy(update={"lambdarank": never}))
    assert (search.rounds, search.why_not()) == (20, None)
    assert tuning(matrix).rounds == SETTINGS.lambdarank.early_stopping_rounds > 0


def test_ranges_are_what_the_settings_allow() -> None:
    for end, place in (("low", 0), ("high", -1)):
        values = {
            key: one.values[place] if isinstance(one, Choice) else getattr(one, end) for key, one in SPACE.items()
        }
        given = RankersSettings.model_validate(as_settings("orders", values, 20)["rankers"])
        assert values_of(given, "orders") == values


def test_hits_count_labels_outside_the_pool(matrix: TrainingMatrix, tmp_path: Path) -> None:
    more = LabelSet.of([sorted({*LABELS.row(s).tolist(), (s * 7 + 8) % 211}) for s in range(N)])
    search = tuning(matrix, more)
    before, after = search.compare(values_of(SETTINGS, "clicks"))
    assert isinstance(before, Hits)
    assert (before.hits == after.hits).all()
    sizes = np.diff(more.take(matrix.sessions[search.unseen]).offsets)
    assert before.denominators.tolist() == (np.minimum(sizes, 3) * search.repeats).tolist()
    assert POOL > 3


def test_too_little_to_choose_by_is_said(tmp_path: Path) -> None:
    log = log_of(30)
    labels = LabelSet.of([LABELS.row(s).tolist() if s < 12 else [] for s in range(30)])
    small = write_world(tmp_path / "m.parquet", World.plain(), log, {"clicks": labels})
    with pytest.raises(InputError, match=r"sessions to train on have a positive for clicks, 20 are needed"):
        RankerTuning(small, labels, "clicks", SETTINGS).search(tmp_path / "s.jsonl", 2)
