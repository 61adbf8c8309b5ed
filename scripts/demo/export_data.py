"""What an exported folder takes of a run: what ``Recommender`` opens, and a few of the sessions it scores."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from candidates.opening import KNOWLEDGE
from events.files import write_json
from events.passes import VALIDATION, PassData
from events.stages import MANIFEST, need_stage, read_manifest
from rankers.opening import open_artifacts, rerank_settings

EXAMPLES: Final = 1_000
"""Sessions to pick from that go with a folder."""
NOT_ASKED: Final = {
    "retrievers": ("made.json",),
    "features": ("drift", "groups.json"),
    "models": ("importances.csv",),
}
"""What lies in a folder of the run beside what is opened."""
BY_NUMBER: Final = frozenset({"external", "custom"})
"""Kinds of sources and retrievers that may look a session up by its number."""
SEED: Final = 0


def copy_run(run: Path, folder: Path, name: str) -> None:
    """Of a run what :class:`rankers.recommender.Recommender` opens for its pass ``name``, and some sessions.

    Where something goes by a session's number (:func:`goes_by_number`), all sessions go along.

    Raises
    ------
    InputError
        If a stage has not run.
    """
    prepared = need_stage(run, "", "prepare")
    (folder / "prepared").mkdir(parents=True)
    shutil.copy2(prepared / "items.parquet", folder / "prepared")
    data = replace(PassData.load(prepared / name), labels=None)
    (data if goes_by_number(run, name) else few_sessions(data, EXAMPLES)).save(folder / "prepared" / name)
    _manifest(prepared, folder / "prepared")
    for stage in ("covisit", "retrievers", "candidates", "features"):
        _copy(need_stage(run, name, stage), folder / name / stage)
        _manifest(run / name / stage, folder / name / stage)
    if (run / name / KNOWLEDGE).is_dir():
        _copy(run / name / KNOWLEDGE, folder / name / KNOWLEDGE)
    ranked = need_stage(run, VALIDATION, "rank")
    _copy(ranked / "models", folder / VALIDATION / "rank" / "models")
    _manifest(ranked, folder / VALIDATION / "rank")
    reranked = rerank_settings(run, name).model_dump(mode="json")
    (folder / VALIDATION / "evaluate").mkdir()
    write_json(folder / VALIDATION / "evaluate" / MANIFEST, {"stage": "evaluate", "settings": {"rerank": reranked}})


def goes_by_number(run: Path, name: str) -> bool:
    """Whether something of the run is looked up by a session's number in its pass, which must then stay as it is.

    So are candidates from elsewhere, what is known of customers, and perhaps what the user's own classes do.
    """
    artifacts, _ = open_artifacts(run, name)
    kinds: set[str] = {one.kind for one in artifacts.candidates.sources.values()}
    kinds |= {one.kind for one in artifacts.models.retrievers.values() if one.on}
    known = artifacts.knowledge(name)
    return bool(kinds & BY_NUMBER) or (known is not None and known.users is not None)


def few_sessions(data: PassData, n: int) -> PassData:
    """A pass with ``n`` of its target sessions, drawn at random, and neither train sessions nor labels.

    Sessions are numbered anew, as the rows of the smaller pass; groups are those of the run.
    """
    targets = data.target_log
    rows = np.flatnonzero(targets.lengths)
    if rows.size > n:
        rows = np.sort(np.random.default_rng(SEED).choice(rows, n, replace=False))
    log = replace(targets.take(rows), sessions=np.arange(rows.size, dtype=np.int64))
    return replace(data, log=log, n_train=0, labels=None, target_ids=data.target_ids.gather(rows))


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(MANIFEST, *NOT_ASKED.get(source.name, ())))


def _manifest(source: Path, target: Path) -> None:
    """That the stage has run, and with which settings where that is asked; not when, where and on which files."""
    kept = ("stage", "pass", "settings") if source.name == "features" else ("stage", "pass")
    facts = read_manifest(source) or {}
    write_json(target / MANIFEST, {key: facts[key] for key in kept if key in facts})
