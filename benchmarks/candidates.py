"""Candidates of sessions against the same in Polars: ``python -m benchmarks.candidates [--events 1e6]``.

Every session of a synthetic shop gets its pool: history, popularity, neighbours in the default matrices, and a walk of
two steps. Matrices are fitted beforehand. The results are compared on the first sessions.
"""

import sys
import tempfile
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path

import polars as pl

from benchmarks.harness import Contender, events_parser, measure, show
from benchmarks.polars_candidates import KINDS, polars_pool, polars_tables
from benchmarks.shop_pass import make_pass, open_matrices, open_pass
from candidates.pool import Arena
from candidates.settings import CandidatesSettings, WalksSettings
from candidates.source_set import SourceSet
from events.columns import AID, SESSION
from events.log import SessionLog

CHUNK = 8_192
"""Sessions at a time, for both."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Sessions and what their candidates come from."""

    log: SessionLog
    sources: SourceSet
    tables: dict[str, pl.DataFrame]

    def chunks(self) -> list[SessionLog]:
        """The sessions, ``CHUNK`` at a time."""
        return [self.log.slice(a, min(a + CHUNK, len(self.log))) for a in range(0, len(self.log), CHUNK)]


def settings() -> CandidatesSettings:
    """The default sources that have a twin in Polars, and a walk."""
    given = CandidatesSettings()
    sources = {name: one for name, one in given.sources.items() if isinstance(one, KINDS)}
    if not any(isinstance(one, WalksSettings) for one in sources.values()):
        sources["walks"] = WalksSettings(matrix=next(iter(given.recipes)))
    return CandidatesSettings(defaults=False, recipes=given.recipes, sources=sources)


def set_up(folder: Path, tables: bool) -> Inputs:
    """Open and fit; compile by a few sessions."""
    data, matrices = open_pass(folder), open_matrices(folder)
    sources = SourceSet.of(settings(), data.fit.has, cpu_count() or 1).fit(data.fit, matrices)
    sources.pool(data.log.slice(0, 10), Arena())
    return Inputs(data.log, sources, polars_tables(matrices, sources, data.log) if tables else {})


def ours(inputs: Inputs) -> int:
    """Candidates of all sessions, in one arena; returns their number."""
    arena = Arena()
    return sum(len(inputs.sources.pool(part, arena)) for part in inputs.chunks())


def in_polars(inputs: Inputs) -> int:
    """The same in Polars."""
    return sum(polars_pool(part, inputs.sources.settings, inputs.tables).height for part in inputs.chunks())


def agreement(inputs: Inputs) -> float:
    """Share of the rows of either, in the first chunk, that are equal in all ranks and, to 1e-5, in all scores."""
    first = inputs.chunks()[0]
    mine = inputs.sources.pool(first, Arena()).frame().fill_nan(None)
    theirs = polars_pool(first, inputs.sources.settings, inputs.tables)
    both = mine.join(theirs, on=[SESSION, AID], how="inner", suffix="_polars")
    equal = [pl.col(name) == pl.col(f"{name}_polars") for name in mine.columns if name.startswith("rank_")]
    for name in mine.columns:
        if name.startswith("score_"):
            near = (pl.col(name) - pl.col(f"{name}_polars")).abs() <= 1e-5 * pl.col(name).abs()
            equal.append(near | (pl.col(name).is_null() & pl.col(f"{name}_polars").is_null()))
    return both.filter(pl.all_horizontal(equal)).height / max(mine.height, theirs.height)


def main(argv: list[str] | None = None) -> int:
    """Measure both, print the table and the JSON line; 1 if the results differ."""
    arguments = events_parser("Candidates of sessions, Cartograph and Polars.", 1_000_000).parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_pass(arguments.events, settings().recipes, folder, cpu_count() or 1)
        cost, rows = measure(Contender(set_up, ours, (folder, False)))
        other, other_rows = measure(Contender(set_up, in_polars, (folder, True)))
        inputs = set_up(folder, True)
        same = agreement(inputs)
    events, sessions = inputs.log.n_events, len(inputs.log)
    print(f"{sessions:,} sessions, {rows:,} candidates ({other_rows:,} in Polars), {same:.4%} of rows equal")
    print(f"{cost.cpu_s / sessions * 1e6:.1f} CPU ms per 1,000 sessions")
    show("candidates", events, cost, {"polars": other}, sessions=sessions, rows=rows, equal_rows=same)
    return 0 if same > 0.999 else 1


if __name__ == "__main__":
    sys.exit(main())
