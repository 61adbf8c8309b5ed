"""A search for good settings: Optuna proposes them, every finished trial is a line of a journal.

The proposals of a trial follow from the seed, its number and the finished trials before it. A study that was killed
and goes on therefore ends as one that was not.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState
from tqdm import tqdm

from events.errors import InputError

STARTUP = 10
"""Trials drawn evenly before proposals follow from earlier ones."""
WARMUP = 2
"""Steps that a trial takes before it may be stopped."""
UNPRUNED = 5
"""Trials that run to the end whatever happens: a median needs some."""

Values = dict[str, Any]
Report = Callable[[int, float], None]
"""Called with a step and the value reached there; raises :class:`Pruned` where going on is not worth it."""


class Pruned(Exception):  # noqa: N818  (no error: the trial was stopped)
    """The trial is worse than the median of those before it at the same step."""


@dataclass(frozen=True, slots=True)
class Real:
    """A number between two others."""

    low: float
    high: float
    log: bool = False

    def distribution(self) -> BaseDistribution:
        """As Optuna says it."""
        return FloatDistribution(self.low, self.high, log=self.log)

    def nearest(self, value: Any) -> Any:
        """The value of the range that is nearest to this one, to four digits: found settings are read and copied."""
        return float(f"{min(max(float(value), self.low), self.high):.4g}")


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number, ``step`` apart from its neighbours."""

    low: int
    high: int
    log: bool = False
    step: int = 1

    def distribution(self) -> BaseDistribution:
        """As Optuna says it."""
        return IntDistribution(self.low, self.high, log=self.log, step=self.step)

    def nearest(self, value: Any) -> Any:
        """The value of the range that is nearest to this one."""
        return self.low + self.step * round((min(max(int(value), self.low), self.high) - self.low) / self.step)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some values."""

    values: tuple[bool | int | float | str, ...]

    def distribution(self) -> BaseDistribution:
        """As Optuna says it."""
        return CategoricalDistribution(self.values)

    def nearest(self, value: Any) -> Any:
        """The value if it is among them, else the first."""
        return value if value in self.values else self.values[0]


Space = Mapping[str, Real | Whole | Choice]
"""Key of a setting (dotted where it lies deeper) to its range."""


@dataclass(frozen=True, slots=True)
class Study:
    """What is searched, and where it is kept.

    journal  : JSON lines, one a finished trial
    identity : JSON-like, all that a trial's value depends on besides its settings; trials of another one do not count
    space    : what is searched
    first    : settings of the first trial, those to be beaten; brought into the ranges
    seed     : of the proposals
    """

    journal: Path
    identity: Any
    space: Space
    first: Values
    seed: int = 0
    _key: list[str] = field(default_factory=list, repr=False, compare=False)

    @property
    def key(self) -> str:
        """Digest of all that makes trials comparable."""
        if not self._key:
            space = {name: repr(one) for name, one in self.space.items()}
            text = json.dumps([self.identity, space, self.first, self.seed, optuna.__version__], default=str)
            self._key.append(hashlib.blake2b(text.encode(), digest_size=8).hexdigest())
        return self._key[0]

    def finished(self) -> list[dict[str, Any]]:
        """The finished trials of this study, in their order.

        Raises
        ------
        InputError
            If the journal holds a line that is none (a last line that a kill cut off does not count).
        """
        if not self.journal.exists():
            return []
        *lines, last = self.journal.read_text(encoding="utf-8").split("\n")
        if last:  # cut off: what comes next would be appended to it
            with self.journal.open("rb+") as file:
                file.truncate(sum(len(line.encode()) + 1 for line in lines))
        found = []
        for number, line in enumerate(lines, 1):
            try:
                trial = json.loads(line)
                mine = trial["key"] == self.key
            except (ValueError, TypeError, KeyError):
                problem = "not a line of a study's journal"
                raise InputError(self.journal, number, problem, "remove the file; the study begins anew") from None
            if mine:
                found.append(trial)
        return found

    def run(self, objective: Callable[[Values, Report], float], trials: int, progress: str = "trials") -> "Found":
        """Go on until so many trials have finished; return the best.

        objective : of settings, and of a function to report to; greater is better
        progress  : name of the bar, which is shown on a terminal only
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        made = self.finished()
        pruner = optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED, n_warmup_steps=WARMUP)
        study = optuna.create_study(direction="maximize", pruner=pruner)
        ranges = {name: one.distribution() for name, one in self.space.items()}
        for trial in made[:trials]:
            study.add_trial(_frozen(trial, ranges))
        self.journal.parent.mkdir(parents=True, exist_ok=True)
        with tqdm(total=trials, initial=min(len(made), trials), desc=progress, unit="trial", disable=None) as bar:
            for number in range(len(made), trials):
                study.sampler = optuna.samplers.TPESampler(
                    seed=_seed_of(self.seed, number), n_startup_trials=STARTUP, constant_liar=False
                )
                if number == 0:
                    study.enqueue_trial({name: one.nearest(self.first[name]) for name, one in self.space.items()})
                asked = study.ask(ranges)
                line = self._trial(asked, objective, number)
                with self.journal.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
                    file.flush()
                    os.fsync(file.fileno())
                made.append(line)
                # As a study that goes on sees it: the line's values, to four digits.
                study.tell(asked, state=TrialState.FAIL)
                study.add_trial(_frozen(line, ranges))
                bar.update()
        return Found.of(made[:trials])

    def _trial(self, trial: optuna.Trial, objective: Callable[[Values, Report], float], number: int) -> dict[str, Any]:
        steps: dict[int, float] = {}

        def report(step: int, value: float) -> None:
            steps[step] = value
            trial.report(value, step)
            if trial.should_prune():
                raise Pruned

        started = time.perf_counter()
        values = {name: one.nearest(trial.params[name]) for name, one in self.space.items()}
        value: float | None = None
        with suppress(Pruned):
            value = objective(values, report)
        return {
            "key": self.key,
            "number": number,
            "state": "pruned" if value is None else "complete",
            "values": values,
            "value": steps[max(steps)] if value is None else value,
            "steps": list(steps.items()),
            "seconds": round(time.perf_counter() - started, 3),
        }


def _seed_of(seed: int, number: int) -> int:
    digest = hashlib.blake2b(f"{seed} {number}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little")


def _frozen(trial: Mapping[str, Any], ranges: dict[str, BaseDistribution]) -> FrozenTrial:
    """A line of the journal as Optuna knows trials."""
    return optuna.trial.create_trial(
        params=trial["values"],
        distributions=ranges,
        value=trial["value"],
        intermediate_values={int(step): float(value) for step, value in trial["steps"]},
        state=TrialState.COMPLETE if trial["state"] == "complete" else TrialState.PRUNED,
    )


@dataclass(frozen=True, slots=True)
class Found:
    """What a study came to.

    values : settings of the best trial; of equal ones the first
    value  : its value
    first  : value of the first trial, which has the settings to be beaten
    number : its number, from 0
    trials : finished trials, ``pruned`` of them stopped early
    """

    values: Values
    value: float
    first: float
    number: int
    trials: int
    pruned: int

    @classmethod
    def of(cls, made: list[dict[str, Any]]) -> "Found":
        """Of the finished trials, at least one."""
        whole = [trial for trial in made if trial["state"] == "complete"]
        best = max(whole, key=lambda trial: (trial["value"], -trial["number"]))
        return cls(
            values=best["values"],
            value=float(best["value"]),
            first=float(made[0]["value"]),
            number=int(best["number"]),
            trials=len(made),
            pruned=len(made) - len(whole),
        )
