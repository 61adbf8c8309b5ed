from benchmarks.covisitation import by_pandas, by_polars, ours, read
from candidates.recipe_sets import PUBLIC


def test_the_dataframes_make_the_same_lists() -> None:
    log = read(None, 20_000)
    found = ours((log, PUBLIC))
    assert found.keys() == PUBLIC.keys()
    assert len(set(found.values())) == len(PUBLIC)
    assert by_polars(log) == found
    assert by_pandas(log) == found
