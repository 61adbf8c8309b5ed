"""Folders of finished runs, made without running anything: random lists, and labels that they share."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from events.columns import TARGETS
from events.index import IdIndex
from events.labels import Labels, LabelSet
from events.lists import Lists
from events.log import SessionLog
from events.passes import PassData
from scripts.ladder import HITS
from scripts.pipeline import MANIFEST
from submissions.kaggle_csv import write_submission
from submissions.kept_hits import KeptHits
from submissions.metrics import hits_by_target

N_TRAIN, N, N_ITEMS, K = 3, 60, 40, 20
ITEMS = IdIndex.of(pl.Series(range(100, 100 + 2 * N_ITEMS, 2)))


def labels(seed: int) -> Labels:
    """Three items a session and target; some have none."""
    rng = np.random.default_rng(seed)
    return {
        target: LabelSet.of([rng.choice(N_ITEMS, 3, replace=False).tolist() if s % 3 else [] for s in range(N)])
        for target in TARGETS
    }


def lists(seed: int, truth: Labels, share: float) -> dict[str, Lists]:
    """Twenty items each, best first; the true ones come first with chance ``share``."""
    rng = np.random.default_rng(seed)
    made = {}
    for target, label_set in truth.items():
        rows = []
        for s in range(N):
            hit = label_set.row(s).tolist() if rng.random() < share else []
            rest = [item for item in rng.permutation(N_ITEMS).tolist() if item not in hit]
            rows.append([(item, float(K - place)) for place, item in enumerate([*hit, *rest][:K])])
        made[target] = Lists.of(rows)
    return made


def _pass(name: str, truth: Labels) -> PassData:
    log = SessionLog.of([[s % N_ITEMS] for s in range(N_TRAIN + N)], n_items=N_ITEMS)
    groups = np.concatenate([np.arange(N_TRAIN), N_TRAIN + np.arange(N) // 2])
    whole = SessionLog(log.sessions, groups, log.offsets, log.aids, None, None, N_ITEMS)
    ids = pl.Series("id", np.arange(N) * 7 + 5)
    return PassData(name, whole, N_TRAIN, truth, ids, None, False, False, TARGETS)


def _manifest(folder: Path, settings: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).write_text(json.dumps({"settings": settings, "code": "same"}))


def fake_run(
    folder: Path,
    seed: int,
    share: float = 0.5,
    truth: int = 0,
    reported: npt.NDArray[np.int64] | None = None,
    leaves: int = 15,
) -> Path:
    """A run whose lists are drawn by ``seed``, right with chance ``share``; of the sessions ``reported`` (all)."""
    rows = np.arange(N) if reported is None else reported
    weights = dict(zip(TARGETS, (0.1, 0.3, 0.6), strict=True))
    settings = {"rankers": {"lambdarank": {"num_leaves": leaves}}, "submissions": {"k": K, "weights": weights}}
    truths = {"validation": labels(truth), "submission": labels(truth + 1)}
    for name, of_pass in truths.items():
        _pass(name, of_pass).save(folder / "prepared" / name)
    ITEMS.save(folder / "prepared" / "items.parquet")
    _manifest(folder / "prepared", {"seed": 42})
    ranked = lists(seed, truths["validation"], share)
    for target, one in ranked.items():
        place = folder / "validation" / "rank" / "lists" / target
        place.mkdir(parents=True)
        one.take(rows).save(place)
    np.save(folder / "validation" / "rank" / "reported.npy", rows)
    final = lists(seed + 1, truths["submission"], share)
    for name, stage, one, kept in (
        ("validation", "evaluate", ranked, rows),
        ("submission", "submit", final, np.arange(N)),
    ):
        hits = {
            "rules": hits_by_target(lists(7, truths[name], 0.4), truths[name], K),
            "ranker": hits_by_target(one, truths[name], K),
        }
        _manifest(folder / name / stage, settings)
        KeptHits(np.arange(N), hits).take(kept).save(folder / name / stage / HITS)
    _manifest(folder / "validation" / "rank", settings)
    write_submission(folder / "submission" / "submit" / "submission.csv", _ids(), final, ITEMS, K)
    return folder


def _ids() -> pl.Series:
    return pl.Series("id", np.arange(N) * 7 + 5)
