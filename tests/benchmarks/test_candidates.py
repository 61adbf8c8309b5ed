"""The Polars baseline of the candidates makes the product's pool."""

from benchmarks.candidates import Inputs, agreement, settings
from benchmarks.polars_candidates import polars_tables
from candidates.covisitation import fit_covisitation
from candidates.source_set import SourceSet
from tests.candidates.conftest import random_log


def test_both_pools_are_equal():
    log = random_log(300, 200, seed=3)
    chosen = settings()
    matrices = fit_covisitation(log, chosen.recipes)
    sources = SourceSet.of(chosen, log.has).fit(log, matrices)
    assert agreement(Inputs(log, sources, polars_tables(matrices, sources, log))) == 1.0
