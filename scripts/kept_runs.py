"""Finished runs, opened by their folders alone: what their stages left, and whether they ran on the same data."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from events.columns import TARGETS
from events.errors import InputError
from events.files import need_array
from events.index import IdIndex
from events.lists import Lists
from events.passes import SUBMISSION, VALIDATION, PassData
from scripts.ladder import HITS
from scripts.pipeline import need_stage, read_manifest
from submissions.kept_hits import KeptHits

EVALUATES = {VALIDATION: "evaluate", SUBMISSION: "submit"}
"""The stage of each pass that scores it."""

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class KeptRun:
    """A run by its folder, ``runs/<name>``.

    Raises
    ------
    InputError
        If there is no such folder; from the methods, if a stage has not run.
    """

    folder: Path

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise InputError(self.folder, None, "no such run", "give the folder of a run, such as runs/shop")

    def __str__(self) -> str:
        return str(self.folder)

    def need(self, pass_name: str, stage: str) -> Path:
        """Folder of a stage that must have run in a pass."""
        return need_stage(self.folder, pass_name, stage)

    def has_hits(self, pass_name: str) -> bool:
        """Whether the pass was scored."""
        return (self.folder / pass_name / EVALUATES[pass_name] / HITS).is_dir()

    def hits(self, pass_name: str, rungs: tuple[str, ...]) -> KeptHits:
        """Each session's hits in a pass."""
        return KeptHits.load(self.need(pass_name, EVALUATES[pass_name]) / HITS, rungs)

    def data(self, pass_name: str) -> PassData:
        """The log, the labels and the target sessions of a pass."""
        return PassData.load(self.need("", "prepare") / pass_name)

    def items(self) -> IdIndex:
        """The item index."""
        return IdIndex.load(self.need("", "prepare") / "items.parquet")

    def lists(self) -> tuple[Rows, dict[str, Lists]]:
        """Out-of-fold lists: the target sessions that are reported (ascending), and of each target their lists."""
        folder = self.need(VALIDATION, "rank")
        found = {path.name: Lists.load(path) for path in sorted((folder / "lists").iterdir())}
        return np.array(need_array(folder, "reported")), found

    def settings(self) -> dict[str, Any]:
        """Every setting that its results depend on, by dotted key."""
        flat: dict[str, Any] = {}
        for folder in (self.need("", "prepare"), self.need(VALIDATION, "evaluate")):
            _flatten("", (read_manifest(folder) or {})["settings"], flat)
        return flat

    def code(self) -> str:
        """Digest of the code of the stage that evaluates."""
        return str((read_manifest(self.need(VALIDATION, "evaluate")) or {})["code"])


def target_weights(settings: Mapping[str, Any]) -> dict[str, float]:
    """Weight of each target in the total, by the flat settings of a run."""
    return {target: float(settings[f"submissions.weights.{target}"]) for target in TARGETS}


def shared_rows(runs: Sequence[KeptRun], reported: Iterable[Rows]) -> Rows:
    """int64[n] the target sessions that every run reported, ascending.

    Raises
    ------
    InputError
        If there is none.
    """
    rows = reduce(lambda left, right: np.intersect1d(left, right, assume_unique=True), reported)
    if rows.size == 0:
        raise InputError(runs[-1].folder, None, f"shares no reported session with {runs[0]}", "rank more sessions")
    return rows


def _flatten(prefix: str, value: Any, flat: dict[str, Any]) -> None:
    if isinstance(value, Mapping) and value:
        for key, one in value.items():
            _flatten(f"{prefix}.{key}" if prefix else key, one, flat)
    else:
        flat[prefix] = value


def require_same_data(first: KeptRun, other: KeptRun, pass_name: str) -> None:
    """Nothing can be compared or blended unless items, target sessions and labels of a pass are the same.

    Raises
    ------
    InputError
        If they are not.
    """
    reason = _difference(first.data(pass_name), other.data(pass_name))
    if reason is None and not first.items().ids.equals(other.items().ids):
        reason = "items"
    if reason is not None:
        problem = f"its {reason} ({pass_name}) are not those of {first}"
        raise InputError(other.folder, None, problem, "give runs of the same data, split and seed")


def _difference(first: PassData, other: PassData) -> str | None:
    """What of two passes differs: train sessions may, and nothing else that a score depends on."""
    log, log2 = first.target_log, other.target_log
    same_sessions = (
        first.target_ids.equals(other.target_ids)
        and np.array_equal(log.offsets - log.offsets[0], log2.offsets - log2.offsets[0])
        and np.array_equal(log.aids, log2.aids)
        and np.array_equal(log.groups - first.n_train, log2.groups - other.n_train)
    )
    if not same_sessions:
        return "target sessions"
    labels, labels2 = first.labels or {}, other.labels or {}
    same_labels = labels.keys() == labels2.keys() and all(
        np.array_equal(one.offsets, labels2[target].offsets) and np.array_equal(one.aids, labels2[target].aids)
        for target, one in labels.items()
    )
    return None if same_labels else "labels"
