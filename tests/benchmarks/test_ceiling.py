"""The ceiling's figures, and the way back from a run's sessions to those of the shop."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.ceiling import CEILINGS, RUNGS, cuts_in_shop, figures, finished_run, main, report, seen_in_train
from events.columns import TARGETS
from events.errors import InputError
from events.passes import PassData
from events.shop.truth import Truth
from scripts import prepare
from scripts.artifacts import open_items, open_pass
from scripts.pipeline import Run, run_stage
from scripts.settings import Settings
from submissions.metrics import Hits


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, PassData]:
    settings = Settings.model_validate({"shop": {"train_sessions": 2_000}, "threads": 1})
    run = Run(settings, tmp_path_factory.mktemp("runs") / "shop")
    run_stage(prepare.STAGE, run, "", say=lambda _: None)
    return run, open_pass(run, "validation")


def test_visible_events_are_found_in_the_shop(prepared: tuple[Run, PassData]) -> None:
    """Dropped items included: replayed to its cut, a session's known events are the visible ones; then the labels."""
    run, data = prepared
    shop, items = run.settings.shop, open_items(run)
    known = seen_in_train(data, items, shop.items)
    log, truth = data.target_log, Truth(shop)
    sessions = data.target_ids.to_numpy()
    cuts = cuts_in_shop(shop, log, sessions, items.ids.to_numpy(), known)
    assert (cuts > log.lengths).any()  # some items were dropped
    assert data.labels is not None
    for row in range(len(log)):
        aids, _, types = truth.future(int(sessions[row]), int(cuts[row]))
        for t, target in enumerate(TARGETS):
            later = aids[known[aids] & (types == t)]
            expected = later[:1][later[:1] != 0] if t == 0 else np.unique(later)
            assert np.array_equal(np.sort(items.ids.to_numpy()[data.labels[target].row(row)]), expected)


def test_another_shop_is_an_error(prepared: tuple[Run, PassData]) -> None:
    run, data = prepared
    other = run.settings.shop.model_copy(update={"seed": 7})
    items, known = open_items(run), np.ones(other.items, np.bool_)
    with pytest.raises(InputError, match="not the one that the shop draws"):
        cuts_in_shop(other, data.target_log, data.target_ids.to_numpy(), items.ids.to_numpy(), known)


def test_an_unfinished_run_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="stage prepare has not run"):
        finished_run(tmp_path)
    assert main(["--run", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_shares_of_the_gap() -> None:
    """100 sessions with a label a target; rules hit 20, the ranker 30, the ceilings 40, 60, 20 and 50 of them."""
    wanted = dict(zip(RUNGS, (20, 30, 40, 60, 20, 50), strict=True))

    def hits(n: int) -> Hits:
        found = (np.arange(100) < n).astype(np.int32)
        return Hits(found, np.ones(100, np.int32), found)

    made = figures({rung: dict.fromkeys(TARGETS, hits(n)) for rung, n in wanted.items()}, np.arange(100))
    for target in (*TARGETS, "total"):
        assert [made[target][rung] for rung in RUNGS] == pytest.approx([n / 100 for n in wanted.values()])
        shares = [made[target][f"closed_{name}"] for name in CEILINGS]
        assert shares == [pytest.approx(0.5), pytest.approx(0.25), None, pytest.approx(1 / 3)]
        low, high = made[target]["closed_observable_interval"]
        assert 0.2 < low < 0.5 < high < 0.8
    assert "no gap" in report(made)
    assert json.loads(json.dumps(made)) == made
