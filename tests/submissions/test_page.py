"""Pages, figures and axes by themselves."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from submissions.axes import Axis, apart
from submissions.charts import Bar, Bars, Chart, Cloud, Columns, Intervals, Lines, Series, Shades
from submissions.page import Figure, Section, Table, items, page
from tests.submissions.pages import check

EVIL = "<script>alert('x')</script>&\""

AXIS = Axis.of("share", [0.0, 1.0])
CHARTS: tuple[Chart, ...] = (
    Bars((Bar(EVIL, 1.0, EVIL, True), Bar("b", 0.0, "0"))),
    Intervals((Bar(EVIL, 0.5, EVIL, low=0.2, high=0.6),), AXIS),
    Lines((Series(EVIL, (0.0, 1.0), (0.2, 0.4)), Series("b", (), ()), Series("c", (0.5,), (0.4,))), AXIS, AXIS),
    Columns((1.0, 2.0, 4.0), (0.5, 0.0), Axis(EVIL, 1, 4, True), AXIS),
    Shades((EVIL, "b"), (EVIL, "c"), ((0.0, 1.0), (0.5, 2.0)), ((EVIL, "1"), ("", "2"))),
    Cloud(((EVIL, ((0.0, 1.0), (2.0, 3.0))), ("b", ()))),
)


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: type(chart).__name__)
def test_text_from_outside_is_escaped_and_read_back_as_it_was(chart: Chart) -> None:
    figure = Figure(EVIL, EVIL + " in words", (("", chart),), Table((EVIL,), ((EVIL,),)), EVIL)
    two = Figure("t", "two of a kind", ((EVIL, chart), ("b", chart)), Table(("h",), (("1",),)))
    text = page(
        EVIL, (items([(EVIL, EVIL, True)], numbered=True),), [Section("one", EVIL, (figure.html(), two.html()))], EVIL
    )
    assert "<script" not in text
    found = check(text)
    assert [[EVIL], [EVIL]] in found.tables
    assert found.text.count(EVIL) >= 7


def test_an_empty_chart_can_be_drawn() -> None:
    for chart in (Bars(()), Lines((), AXIS, AXIS), Shades((), (), ()), Cloud(())):
        assert chart.draw(300).svg("nothing to see").startswith("<svg")


def test_a_check_of_pages_finds_what_is_wrong() -> None:
    good = page(
        "t", (), [Section("a", "b", (Figure("t", "a long label", (("", CHARTS[0]),), Table(("h",), ())).html(),))], ""
    )
    check(good)
    for wrong, right in (
        ('href="https://a.b/c"', 'href="#a"'),
        ("", ' role="img"'),
        ("<p>", "</figure>"),
        ("", "</summary>"),
    ):
        with pytest.raises(AssertionError):
            check(good.replace(right, wrong, 1))


numbers = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.lists(numbers, min_size=1, max_size=8), st.booleans())
def test_ticks_lie_on_the_axis_in_order(values: list[float], log: bool) -> None:
    axis = Axis.of("", [abs(value) + 0.01 for value in values] if log else values, log=log)
    marks = [axis.at(value) for value, _ in axis.marks()]
    assert marks == sorted(marks)
    assert all(0 <= mark <= 1 for mark in marks)
    assert all(axis.low - 1e-6 <= value <= axis.high * (1 + 1e-9) + 1e-6 for value, _ in axis.marks())
    assert axis.at(axis.low) == 0
    assert axis.at(axis.high) == pytest.approx(1)


@given(st.lists(st.floats(0, 100), max_size=8))
def test_labels_do_not_touch(wanted: list[float]) -> None:
    places = apart(wanted, 10, 0, 100)
    ordered = sorted(places)
    assert all(b - a >= 10 - 1e-9 for a, b in itertools.pairwise(ordered))
    assert all(-1e-9 <= place <= 100 + 1e-9 for place in places)
    assert [i for i, _ in sorted(enumerate(places), key=lambda one: one[1])] == sorted(
        range(len(wanted)), key=lambda i: wanted[i]
    )
