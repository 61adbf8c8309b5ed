"""Tuning of a retriever: which of its settings find more of the next items, in sessions that came after those fitted.

The last tenth of the train sessions is not fitted on. Half of it, by groups, gives the trials their values; in the end
the settings found and those to be beaten meet on the other half. Test rows are not known here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from events.arrays import I64
from events.columns import CLICKS, TARGETS
from events.errors import InputError
from events.labels import LabelSet
from events.log import SessionLog
from events.randomness import mix, uniforms
from models.building import Conditions, build_retriever
from models.exact import next_item_rows, rank_hits
from models.sequence import SequenceRetriever
from models.settings import AnyRetriever
from models.study import Choice, Found, Real, Report, Space, Study, Values, Whole
from models.trainer import Epoch
from models.training_settings import SequenceSettings
from submissions.metrics import Hits

SHARE: Final = 0.1
"""Of the train sessions, the last ones, that are not fitted on."""
ROWS: Final = 20_000
"""Positions that a half is scored on, about, at most."""
TOP: Final = 20
STREAM: Final = 102
"""Stream of random numbers that halves the groups and samples them."""
STOPPING: Final = 0.05
"""Share of the fitted sessions by whose recall a sequence model stops, if its settings hold out none: then a trial can
be stopped after an epoch."""

_SEQUENCE: Space = {
    "dim": Choice((32, 48, 64, 96, 128)),
    "length": Choice((10, 20, 30, 50)),
    "dropout": Real(0.0, 0.5),
    "embedding_dropout": Real(0.0, 0.5),
    "normalise": Choice((False, True)),
    "horizon": Whole(1, 5),
    "negatives.uniform": Choice((256, 512, 1024, 2048, 4096)),
    "negatives.power": Real(0.0, 1.0),
    "training.epochs": Whole(1, 10),
    "training.batch_tokens": Choice((1024, 2048, 4096, 8192)),
    "training.learning_rate": Real(3e-4, 1e-2, log=True),
    "training.item_learning_rate": Real(5e-3, 0.3, log=True),
}

SPACES: Mapping[str, Space] = {
    "als": {
        "dim": Choice((32, 64, 96, 128, 192, 256)),
        "sweeps": Whole(2, 8),
        "alpha": Real(1.0, 1_000.0, log=True),
        "regularization": Real(0.01, 100.0, log=True),
        "half_life": Real(0.5, 8.0, log=True),
        "revisit": Real(-0.5, 1.0),
    },
    "bpr": {
        "dim": Choice((32, 64, 96, 128, 192, 256)),
        "epochs": Whole(5, 60, log=True),
        "learning_rate": Real(0.01, 0.3, log=True),
        "regularization": Real(1e-5, 0.05, log=True),
        "context": Choice((5, 10, 20, 50)),
        "half_life": Real(0.5, 8.0, log=True),
        "negative_power": Real(0.0, 1.0),
        "negatives": Whole(1, 8),
    },
    "item2vec": {
        "dim": Choice((32, 64, 96, 128)),
        "epochs": Whole(1, 12),
        "rate": Real(0.05, 0.5, log=True),
        "window": Whole(1, 10),
        "distance_power": Real(0.0, 2.0),
        "backward": Real(0.0, 1.0),
        "negatives": Real(2.0, 40.0, log=True),
        "negative_power": Real(0.0, 1.0),
        "recency": Real(0.3, 1.0),
    },
    "gru4rec": {**_SEQUENCE, "copying": Choice((False, True)), "hidden": Choice((32, 64, 96, 128, 192))},
    "sasrec": {**_SEQUENCE, "copying": Choice((False, True)), "layers": Whole(1, 3), "heads": Choice((1, 2, 4))},
    "two_tower": {
        **{name: one for name, one in _SEQUENCE.items() if name != "normalise"},
        "hidden": Choice((64, 128, 256)),
        "pools": Choice((1, 2, 4, 8)),
        "negatives.in_batch": Choice((256, 512, 1024)),
    },
}
"""What is searched of each kind of retriever; every combination is one that the settings allow."""


def as_tree(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values with dotted keys as nested tables.

    >>> as_tree({"dim": 8, "training.epochs": 2})
    {'dim': 8, 'training': {'epochs': 2}}
    """
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *parents, last = key.split(".")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return tree


def with_values(settings: AnyRetriever, values: Mapping[str, Any]) -> AnyRetriever:
    """The settings with these values (dotted keys) in place of their own."""
    tree = settings.model_dump()
    for key, value in as_tree(values).items():
        tree[key] = {**tree[key], **value} if isinstance(value, dict) else value
    return type(settings).model_validate(tree)


def value_of(settings: AnyRetriever, key: str) -> Any:
    """What the settings say of a dotted key."""
    found: Any = settings
    for part in key.split("."):
        found = getattr(found, part)
    return found


@dataclass(frozen=True)
class RetrieverTuning:
    """The search for one retriever.

    name       : of the retriever in the settings
    settings   : to be beaten
    log        : the train sessions of a pass
    conditions : seed and threads of every fit

    Raises
    ------
    InputError
        If there is no space for this kind of retriever, or too few sessions to hold some out.
    """

    name: str
    settings: AnyRetriever
    log: SessionLog
    conditions: Conditions

    def __post_init__(self) -> None:
        if self.settings.kind not in SPACES:
            problem = f"retrievers of kind {self.settings.kind} are not tuned"
            raise InputError(f"--model {self.name}", None, problem, f"give one of kind {', '.join(SPACES)}")
        if not 0 < self._first < len(self.log) or min(rows.size for rows in self._halves) == 0:
            problem = "too few train sessions with two events or more to hold a tenth out"
            raise InputError(f"--model {self.name}", None, problem, "give more sessions")

    @property
    def space(self) -> Space:
        """What is searched; copying goes with a softmax only."""
        space = SPACES[self.settings.kind]
        if isinstance(self.settings, SequenceSettings) and "softmax" not in self.settings.loss.name:
            return {key: one for key, one in space.items() if key != "copying"}
        return space

    @cached_property
    def _first(self) -> int:
        """The first session that is not fitted on; no group stands on both sides."""
        n = int(len(self.log) * (1.0 - SHARE))
        while 0 < n < len(self.log) and self.log.groups[n] == self.log.groups[n - 1]:
            n -= 1
        return n

    @cached_property
    def _halves(self) -> tuple[I64, I64]:
        """Sessions to choose by, and to compare on: whole groups, those of the smallest draws, as many as needed."""
        late = self._first + np.flatnonzero(self.log.lengths[self._first :] >= 2)
        draw = uniforms(int(mix(self.conditions.seed, STREAM) >> np.uint64(1)), self.log.groups[late])
        return _up_to(self.log, late, draw, draw < 0.5), _up_to(self.log, late, draw, draw >= 0.5)

    @cached_property
    def _chosen_by(self) -> tuple[SessionLog, LabelSet]:
        return next_item_rows(self.log, self._halves[0])

    def _prepared(self, values: Values) -> AnyRetriever:
        """Settings of a trial: a sequence model holds some sessions out to stop by."""
        tuned = with_values(self.settings, values)
        if isinstance(tuned, SequenceSettings) and tuned.training.holdout == 0:
            tuned = with_values(tuned, {"training.holdout": STOPPING})
        return tuned

    def _hits(self, settings: AnyRetriever, rows: tuple[SessionLog, LabelSet], report: Report | None = None) -> Hits:
        retriever = build_retriever(self.name, settings, self.conditions)
        if isinstance(retriever, SequenceRetriever) and report is not None:
            retriever.on_epoch = lambda epoch: _report(epoch, report)
        retriever.fit(self.log.slice(0, self._first))
        return rank_hits(retriever, *rows, TOP, TARGETS[CLICKS] if retriever.targets else None)

    def _value(self, values: Values, report: Report) -> float:
        recall = self._hits(self._prepared(values), self._chosen_by, report).recall
        assert recall is not None
        return recall

    def search(self, journal: Path, trials: int, data: Any) -> Found:
        """Go on with the study of this journal until so many trials have finished; ``data``: identity of the log."""
        identity = {
            "data": data,
            "settings": self.settings.model_dump(mode="json", exclude={"on", "k"}),
            "seed": self.conditions.seed,
            "threads": self.conditions.threads,
            "rows": ROWS,
        }
        first = {key: self._first_value(key) for key in self.space}
        return Study(journal, identity, self.space, first, self.conditions.seed).run(self._value, trials, self.name)

    def _first_value(self, key: str) -> Any:
        value = value_of(self.settings, key)
        if value is None and key == "epochs":  # of item2vec: chosen by the size of the log
            return 3
        return value if value is not None else 2.0  # a half-life that is not set

    def compare(self, values: Values) -> tuple[Hits, Hits, I64]:
        """Hits on rows that chose nothing, of the settings as they are and with these values, and their groups.

        Both are fitted as a run would fit them: on all sessions before the rows, unless the settings hold some out.
        """
        rows = next_item_rows(self.log, self._halves[1])
        before, after = self._hits(self.settings, rows), self._hits(with_values(self.settings, values), rows)
        return before, after, np.asarray(rows[0].groups)


def _up_to(log: SessionLog, sessions: I64, draw: Any, mine: Any) -> I64:
    """Of int64[n] sessions where bool[n] ``mine``, ascending: those of the smallest draws, with about ROWS rows."""
    order = np.flatnonzero(mine)[np.argsort(draw[mine], kind="stable")]
    rows = np.cumsum(log.lengths[sessions[order]] - 1)
    return np.sort(sessions[order[: max(int(np.searchsorted(rows, ROWS, side="right")), min(1, order.size))]])


def _report(epoch: Epoch, report: Report) -> None:
    if epoch.recall is not None:
        report(epoch.number + 1, epoch.recall)
