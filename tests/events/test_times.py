import polars as pl
import pytest

from events.readers.times import guess_unit, parse_dates, parse_times


@pytest.mark.parametrize(
    ("values", "unit", "ms"),
    [
        (["2019-10-01 00:00:00 UTC"], "iso", [1569888000000]),
        (["2019-10-01T02:00:00+02:00", "2019-09-30T17:00:00-0700"], "iso", [1569888000000] * 2),
        (["2019-10-01 00:00:00 +0000", "2019-10-01 03:30:00+03:30"], "iso", [1569888000000] * 2),
        (["2019-10-01", None], "iso", [1569888000000, None]),
        (["1569888000"], "auto", [1569888000000]),
        (["1569888000000"], "auto", [1569888000000]),
        (["1569888000000000"], "auto", [1569888000000]),
        (["2019-10-01T00:00:00.5Z"], "auto", [1569888000500]),
        ([1569888000.25, None], "auto", [1569888000250, None]),
    ],
)
def test_times_become_utc_milliseconds(values: list[object], unit: str, ms: list[int | None]) -> None:
    assert parse_times(pl.Series(values), unit).ms.to_list() == ms


def test_what_is_assumed_is_said() -> None:
    assert parse_times(pl.Series(["2019-10-01"]), "iso").notes == ("times without a zone are taken as UTC",)
    assert parse_times(pl.Series(["2019-10-01T02:00:00+02:00"]), "iso").notes == (
        "times with an offset are converted to UTC",
    )
    assert parse_times(pl.Series(["2019-10-01T00:00:00Z"]), "iso").notes == ()
    assert parse_times(pl.Series([1569888000]), "auto").notes == ("times are read as seconds",)


@pytest.mark.parametrize(
    ("values", "unit", "looks", "remedy"),
    [
        (["1569888000"], "ms", "seconds", "data.time_unit='s'"),
        (["1569888000000"], "s", "milliseconds", "data.time_unit='ms'"),
        (["1569888000000000"], "ms", "microseconds", "data.time_unit='auto'"),
        (["1569888000"], "iso", "seconds", "data.time_unit='s'"),
    ],
)
def test_mixed_up_units_are_recognised(values: list[str], unit: str, looks: str, remedy: str) -> None:
    times = parse_times(pl.Series(values), unit)
    assert times.ms.null_count() == len(values)
    assert times.problem.endswith(f"looks like {looks}")
    assert remedy in times.remedy


def test_a_few_early_times_are_bad_a_shop_that_counts_from_zero_is_not() -> None:
    few = parse_times(pl.Series([0, 1569888000000, 1569888000001]), "ms")
    assert few.ms.to_list() == [None, 1569888000000, 1569888000001]
    assert "before 1995" in few.problem
    counted = parse_times(pl.Series([0, 1000, 2000]), "ms")
    assert (counted.ms.to_list(), counted.problem) == ([0, 1000, 2000], "")
    assert counted.notes == ("times before 1995 are taken as they are",)


def test_a_time_far_from_all_others_is_bad() -> None:
    usual = [1569888000000 + 1000 * i for i in range(200)]
    late = parse_times(pl.Series([*usual, 2000000000000]), "ms")
    assert late.ms.to_list() == [*usual, None]
    assert "ten years" in late.problem
    assert parse_times(pl.Series([*usual, 1869888000000]), "ms").problem == ""  # nine and a half years


def test_units_go_by_the_middle_value() -> None:
    assert guess_unit(pl.Series([0, 1569888000, 1569888001])) == "s"
    assert guess_unit(pl.Series(["a", "b", "1569888001"])) == "iso"


def test_dates_of_publication() -> None:
    spelled = {
        "1995": 788918400000,
        "September 17, 2019": 1568678400000,
        "Sep 17, 2019": 1568678400000,
        "17-Sep-2019": 1568678400000,
        "2019-09-17": 1568678400000,
        "Toy Story (1995)": 788918400000,
        "1568678400000": 1568678400000,
        "Toy Story": None,
        "1995 and more": None,
    }
    assert parse_dates(pl.Series(list(spelled)), "ms").to_list() == list(spelled.values())
