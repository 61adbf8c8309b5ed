"""Run as a script: rules in worker processes, after Polars and numba's threads have been used.

Imports are made in ``main``: every worker imports this file, and the test is to be quick.
"""


def main() -> None:
    import numpy as np
    import polars as pl

    from candidates.covisitation import fit_covisitation
    from candidates.rules import Rules
    from candidates.settings import DEFAULT_RECIPES, RulesSettings
    from tests.candidates.conftest import random_log
    from tests.candidates.contract import assert_equal

    log = random_log(600, 200, seed=2)
    pl.DataFrame({"aid": log.aids}).lazy().group_by("aid").len().collect(engine="streaming")
    matrices = fit_covisitation(log, DEFAULT_RECIPES, threads=2)

    def rules(function: str, workers: int) -> Rules:
        settings = RulesSettings(function=function, workers=workers, parallel_from=1, progress=workers > 1)
        return Rules("rules", settings, matrices).fit(log)

    for function in ("candidates.default_rules:rule", "tests.candidates.own_rules:last_and_popular"):
        expected = rules(function, 1).recommend(log, 20, "orders")
        assert np.unique(expected.lengths).size > 1 or expected.lengths.min() == 20
        assert_equal(rules(function, 2).recommend(log, 20, "orders"), expected)
        print("equal:", function)
    try:
        rules("tests.candidates.own_rules:failing", 2).recommend(log, 20, "orders")
    except ZeroDivisionError as error:
        print("raised:", error)


if __name__ == "__main__":
    main()
