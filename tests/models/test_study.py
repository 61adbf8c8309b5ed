"""A study: what it proposes, what it keeps, and that a kill changes nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from events.errors import InputError
from models.study import Choice, Real, Report, Space, Study, Values, Whole

SPACE: Space = {"x": Real(0.001, 1.0, log=True), "n": Whole(8, 64, step=8), "c": Choice((1, 2))}
FIRST = {"x": 0.1, "n": 21, "c": 7}


class Killed(BaseException):
    """Stands for the end of the process."""


def value(values: Values) -> float:
    return float(values["x"] - (values["n"] - 32) ** 2 / 1000 + 0.1 * values["c"])


def objective(values: Values, report: Report) -> float:
    for step in range(1, 9):
        report(step, step * value(values))
    return value(values)


def dying(after: int) -> Callable[[Values, Report], float]:
    """The objective, until so many trials have passed; the next dies half-way."""
    left = [after]

    def work(values: Values, report: Report) -> float:
        if left[0] == 0:
            report(1, value(values))
            raise Killed
        left[0] -= 1
        return objective(values, report)

    return work


def lines(path: Path) -> list[dict[str, Any]]:
    read = [json.loads(line) for line in path.read_text().splitlines()]
    return [{key: one for key, one in line.items() if key != "seconds"} for line in read]


def test_killed_and_resumed_is_as_uninterrupted(tmp_path: Path) -> None:
    whole = Study(tmp_path / "whole.jsonl", "data", SPACE, FIRST, seed=3)
    found = whole.run(objective, 24)
    study = Study(tmp_path / "killed.jsonl", "data", SPACE, FIRST, seed=3)
    for after in (1, 11):
        with pytest.raises(Killed):
            study.run(dying(after), 24)
        with study.journal.open("a") as file:
            file.write('{"key": "cut off')
    assert study.run(objective, 24) == found
    assert lines(study.journal) == lines(whole.journal)
    assert found.trials == 24
    assert found.pruned > 0
    assert found.value == max(value(line["values"]) for line in lines(whole.journal) if line["state"] == "complete")
    assert study.run(dying(0), 24) == found  # nothing is left to do


def test_the_first_trial_has_the_settings_to_be_beaten(tmp_path: Path) -> None:
    study = Study(tmp_path / "s.jsonl", "data", SPACE, FIRST)
    found = study.run(objective, 1)
    assert found.values == {"x": 0.1, "n": 24, "c": 1}
    assert (found.number, found.first) == (0, found.value)


def test_other_data_settings_or_seeds_are_another_study(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    study = Study(path, "data", SPACE, FIRST)
    study.run(objective, 3)
    others = [
        Study(path, "other", SPACE, FIRST),
        Study(path, "data", SPACE, FIRST | {"x": 0.2}),
        Study(path, "data", SPACE, FIRST, seed=1),
        Study(path, "data", {**SPACE, "x": Real(0.01, 1.0)}, FIRST),
    ]
    assert [one.finished() for one in others] == [[]] * 4
    assert len({one.key for one in (study, *others)}) == 5
    others[0].run(objective, 2)
    assert len(study.finished()) == 3
    assert len(lines(path)) == 5


def test_values_are_short_and_inside_the_ranges(tmp_path: Path) -> None:
    study = Study(tmp_path / "s.jsonl", "data", SPACE, FIRST)
    study.run(objective, 15)
    for line in lines(study.journal):
        values = line["values"]
        assert values["x"] == float(f"{values['x']:.4g}")
        assert values == {name: one.nearest(values[name]) for name, one in SPACE.items()}


def test_a_damaged_journal_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_text('{"key": "x"}\nnonsense\n')
    with pytest.raises(InputError, match=r"s\.jsonl:2: not a line of a study's journal"):
        Study(path, "data", SPACE, FIRST).run(objective, 1)
