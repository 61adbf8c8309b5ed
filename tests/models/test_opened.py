"""Opened sequence models say what torch says but for rounding, and each session by itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from events.errors import InputError
from events.log import SessionLog
from models.bert4rec_settings import BERT4RecSettings
from models.building import Conditions, build_retriever, open_retriever
from models.index import ItemIndex
from models.opened import Opened
from models.searcher import Searcher
from models.settings import AnyRetriever
from models.training_settings import GRU4RecSettings, NegativeSettings, SASRecSettings, TrainingSettings
from models.two_tower_settings import TwoTowerSettings

Case = tuple[Any, Any, SessionLog]

N_ITEMS = 50


def made_log(seed: int, n: int = 120, has: frozenset[str] = frozenset({"time", "types"})) -> SessionLog:
    """Sessions of 1 to 25 events with repeats, gaps of seconds to months; the last items are in none."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 26, n).tolist()
    aids = [rng.integers(0, N_ITEMS - 4, size).tolist() for size in sizes]
    ts = [np.cumsum(2 ** rng.integers(0, 24, size)).tolist() for size in sizes] if "time" in has else None
    types = [rng.integers(0, 3, size).tolist() for size in sizes] if "types" in has else None
    return SessionLog.of(aids, ts, types, N_ITEMS)


def settings_of(kind: Any, **changes: Any) -> Any:
    training = TrainingSettings(epochs=1, batch_tokens=256, threads=1, device="cpu", learning_rate=0.02)
    changes = {"dim": 12, "length": 9, "training": training, "negatives": NegativeSettings(uniform=20)} | changes
    return kind(**changes)


CASES: dict[str, tuple[Callable[[], AnyRetriever], frozenset[str]]] = {
    "gru4rec": (
        lambda: settings_of(GRU4RecSettings, hidden=10, copying=True, normalise=True),
        frozenset({"time", "types"}),
    ),
    "two layers, no stamps": (lambda: settings_of(GRU4RecSettings, hidden=14, layers=2), frozenset({"types"})),
    "sasrec": (
        lambda: settings_of(SASRecSettings, heads=3, copying=True, normalise=True),
        frozenset({"time", "types"}),
    ),
    "bare sasrec": (lambda: settings_of(SASRecSettings, copying=True, dim=10), frozenset()),
    "two_tower": (lambda: settings_of(TwoTowerSettings, hidden=17, pools=3), frozenset({"time", "types"})),
    "bare two_tower": (lambda: settings_of(TwoTowerSettings, normalise=False, use_gaps=False), frozenset({"time"})),
}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A fitted model, the same opened, and a log with empty sessions and unknown items to ask about."""
    make, has = CASES[request.param]
    folder = tmp_path_factory.mktemp("saved")
    fitted = build_retriever("m", make(), Conditions()).fit(made_log(1, has=has))
    fitted.save(folder)
    opened = open_retriever("m", make(), Conditions()).load(folder)
    assert isinstance(opened, Opened)
    asked = made_log(2, has=has)
    more = [[], [N_ITEMS - 1], [3, N_ITEMS - 1, 3, 4]]
    stamps = [[], [5], [6, 7, 900, 950]] if "time" in has else None
    kinds = [[], [0], [1, 2, 0, 1]] if "types" in has else None
    return fitted, opened, asked.concat(SessionLog.of(more, stamps, kinds, N_ITEMS))


def test_it_says_what_torch_says(case: Case) -> None:
    fitted, opened, asked = case
    assert opened.targets == fitted.targets
    np.testing.assert_array_equal(opened.known, fitted.known)
    np.testing.assert_array_equal(opened.item_vectors(), fitted.item_vectors())
    for target in fitted.targets or (None,):
        np.testing.assert_allclose(
            opened.session_vectors(asked, target), fitted.session_vectors(asked, target), rtol=1e-4, atol=2e-5
        )
        mine, theirs = opened.revisits(asked, target), fitted.revisits(asked, target)
        assert (mine is None) == (theirs is None)
        if mine is not None:
            np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=2e-5)


def test_batch_equals_single_on_any_number_of_threads(case: Case) -> None:
    _, opened, asked = case
    many = asked.take(np.arange(2_100) % len(asked))
    shared = Opened("m", opened.settings, 2)
    shared._net, shared._parts, shared._known = opened._net, opened._parts, opened._known
    shared._vectors, shared.targets = opened._vectors, opened.targets
    batch = shared.encode(many)
    for target, (vectors, added) in batch.items():
        for s in range(0, len(asked), 11):
            one, alone = opened.encode(asked.slice(s, s + 1))[target]
            np.testing.assert_array_equal(one[0], vectors[s])
            if added is not None:
                np.testing.assert_array_equal(alone, added[many.offsets[s] : many.offsets[s + 1]])


def test_targets_searched_together_get_the_lists_that_each_gets_alone(case: Case) -> None:
    _, opened, asked = case
    index = ItemIndex(opened.item_vectors(), opened.known)
    searcher = Searcher(opened, dict.fromkeys(opened.targets or (None,), index))
    for log in (asked, asked.slice(7, 8), asked.slice(len(asked) - 1, len(asked))):
        encoded = searcher.encode(log)
        ((targets, stacked, of_all),) = searcher.stacked(log, encoded)
        lists = searcher.search(stacked, of_all, 6, targets[0])
        for i, target in enumerate(targets):
            alone, part = searcher.search(log, encoded, 6, target), lists.slice(i * len(log), (i + 1) * len(log))
            np.testing.assert_array_equal(part.offsets, alone.offsets)
            np.testing.assert_array_equal(part.aids, alone.aids)
            np.testing.assert_array_equal(part.scores, alone.scores)


def test_other_settings_are_refused(tmp_path: Path) -> None:
    settings = settings_of(GRU4RecSettings)
    build_retriever("m", settings, Conditions()).fit(made_log(1, 20)).save(tmp_path)
    for other in (settings_of(SASRecSettings), settings.model_copy(update={"copying": True})):
        with pytest.raises(InputError, match="other settings"):
            open_retriever("m", other, Conditions()).load(tmp_path)


def test_what_has_no_kernel_is_opened_by_torch() -> None:
    assert not isinstance(open_retriever("m", BERT4RecSettings(), Conditions()), Opened)
