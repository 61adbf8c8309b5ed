"""A shop's log as a page."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from events.columns import TARGETS
from submissions.axes import Axis
from submissions.charts import Bar, Bars, Cloud, Columns, Lines, Series, Shades
from submissions.exploring import LENGTHS
from submissions.log_statistics import LONGEST, gap_edges
from submissions.page import Figure, Section, Table, page, paragraph

Explored = Mapping[str, Any]

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
UNITS = ((604_800, "week"), (86_400, "day"), (3_600, "h"), (60, "min"), (1, "s"))
MOMENTS = ((1.0, "1 s"), (60.0, "1 min"), (3_600.0, "1 h"), (86_400.0, "1 d"), (604_800.0, "1 week"))

NO_TIME = "This log has no time: activity by hour and day, and gaps between events, are left out."
NO_TYPES = "This log has no event types: transitions and conversion are left out."


def render(found: Explored, name: str, where: str, part: str = "test", time_zone: str = "UTC", no_map: str = "") -> str:
    """The page.

    found     : what ``exploring.explore`` gave
    name      : of the shop;  where: what kind of vectors the map is made of
    part      : what the sessions to recommend for are called
    time_zone : of hours and days
    no_map    : why there is no map, if there is none
    """
    train = found["train"]
    said = [text for text, lacks in ((NO_TIME, train["days"] is None), (NO_TYPES, train["types"] is None)) if lacks]
    sections = [
        Section("sessions", "Sessions", (_lengths(found), _returns(found))),
        Section("types", "Clicks, carts, orders", _types(found)),
        Section("items", "Items", (_popularity(found), *_map(found, where, no_map))),
        Section("time", "Time", _times(found, part, time_zone)),
        Section("drift", f"Train against {part}", (_drift(found, part),)),
    ]
    opening = [_headline(found), *(paragraph(text) for text in said)]
    ending = "Made by python -m scripts.explore from the prepared log; this page needs no network."
    return page(f"The log of {name}", opening, [one for one in sections if one.parts], ending)


def percent(share: float, digits: int = 1) -> str:
    """A share as a percentage.

    >>> percent(0.125)
    '12.5 %'
    """
    return f"{100 * share:.{digits}f} %"


def lasting(seconds: float) -> str:
    """A time in its greatest unit.

    >>> lasting(0), lasting(90), lasting(5000), lasting(700000)
    ('0 s', '1.5 min', '1.4 h', '1.2 weeks')
    """
    for size, unit in UNITS:
        if seconds >= size:
            number = f"{seconds / size:.{0 if size == 1 else 1}f}".removesuffix(".0")
            return f"{number} {unit}{'s' if size >= 86_400 and number != '1' else ''}"
    return "0 s"


def _headline(found: Explored) -> str:
    train, target = found["train"], found["target"]
    facts = ((f"{train['sessions']:,}", "train sessions"), (f"{train['events']:,}", "events"),
             (f"{train['items']:,}", "items"), (f"{target['sessions']:,}", "sessions to recommend for"))  # fmt: skip
    return (
        '<ul class="parts">' + "".join(f"<li><b>{number}</b><span>{of}</span></li>" for number, of in facts) + "</ul>"
    )


def _lengths(found: Explored) -> str:
    train = found["train"]
    shares = tuple(train["lengths"])
    edges = (*map(float, LENGTHS), 2.0 * LONGEST)
    quantiles = train["length_quantiles"]
    half, most = quantiles["0.5"], quantiles["0.99"]
    title = f"Half of the sessions have {half:.0f} events or fewer, one in a hundred {most:.0f} or more"
    names = [str(a) if b == a + 1 else f"{a} to {b - 1}" for a, b in pairwise(LENGTHS)]
    rows = [(name, percent(share)) for name, share in zip([*names, f"{LONGEST} or more"], shares, strict=True)]
    rows += [(f"quantile {q}", f"{value:.0f} events") for q, value in quantiles.items()]
    rows.append(("mean", f"{train['mean_length']:.1f} events"))
    ticks = tuple((float(value), str(value)) for value in (1, 2, 4, 8, 16, 32, 64, 128, 256))
    x = Axis("events of a session (a logarithmic axis)", 1, edges[-1], True, ticks)
    y = Axis.of("% of sessions", [100 * share for share in shares])
    chart = Columns(edges, tuple(100 * share for share in shares), x, y)
    return Figure(title, "Histogram of session lengths", (("", chart),), Table(("events", ""), tuple(rows))).html()


def _returns(found: Explored) -> str:
    train = found["train"]
    facts = {
        "events on an item already seen in the session": train["revisits"],
        "sessions that come back to an item": train["returning"],
    }
    bars = tuple(Bar(name, 100 * share, percent(share), i == 0) for i, (name, share) in enumerate(facts.items()))
    title = f"{percent(train['revisits'], 0)} of the events are on an item that the session has seen before"
    table = Table(("", "share"), tuple((name, percent(share, 2)) for name, share in facts.items()))
    return Figure(title, "Bars of revisits", (("", Bars(bars)),), table).html()


def _types(found: Explored) -> tuple[str, ...]:
    train = found["train"]
    if train["types"] is None:
        return ()
    shares, conversion = train["types"], train["conversion"]
    bars = tuple(Bar(name, 100 * share, percent(share, 2), i == 0) for i, (name, share) in enumerate(shares.items()))
    table = Table(("", "% of events"), tuple((name, f"{100 * share:.2f}") for name, share in shares.items()))
    title = f"Of 1,000 events {1000 * shares['carts']:.0f} are carts and {1000 * shares['orders']:.0f} orders"
    parts = [Figure(title, "Bars of the share of each event type", (("", Bars(bars)),), table).html()]
    order = (3, 0, 1, 2)
    moves = tuple(tuple(train["transitions"][i][j] for j in (0, 1, 2, 3)) for i in order)
    rows, columns = ("beginning", *TARGETS), (*TARGETS, "end")
    shown = tuple(tuple(f"{100 * share:.1f}" for share in row) for row in moves)
    after = train["transitions"][1][2]
    title = f"After a cart the next event is an order in {percent(after)} of the cases"
    note = "Of the events of a row's type, the percentage that the column's type follows."
    table = Table(("from, %", *columns), tuple((name, *row) for name, row in zip(rows, shown, strict=True)))
    label = "Table of shades: transitions between event types"
    parts.append(Figure(title, label, (("", Shades(rows, columns, moves, shown)),), table, note, unfolded=False).html())
    bars = tuple(Bar(name, 100 * share, percent(share)) for name, share in conversion.items())
    table = Table(("", "share"), tuple((name, percent(share, 2)) for name, share in conversion.items()))
    title = f"{percent(conversion['carted items that are ordered'], 0)} of carted items are ordered in the same session"
    note = "An item counts once a session."
    parts.append(Figure(title, "Bars of conversion rates", (("", Bars(bars)),), table, note).html())
    return tuple(parts)


def _popularity(found: Explored) -> str:
    one = found["popularity"]
    ranks, events = tuple(map(float, one["ranks"])), tuple(map(float, one["events"]))
    x, y = Axis.of("rank of the item", ranks or (1.0,), log=True), Axis.of("events", events or (1.0,), log=True)
    chart = Lines((Series("", ranks, events, "accent", named=False),), x, y)
    title = "No item has an event"
    if one["top"]:
        top = percent(one["top"]["0.01"], 0)
        title = f"One item in a hundred draws {top} of the events; half have {one['median']:.0f} or fewer"
    rows = [
        (f"busiest {percent(float(share))} of items", f"{percent(of)} of events") for share, of in one["top"].items()
    ]
    rows += [
        (f"item of rank {rank:,}", f"{count:,} events") for rank, count in zip(one["ranks"], one["events"], strict=True)
    ]
    label = "Line of the events of each item against its rank, both axes logarithmic"
    return Figure(title, label, (("", chart),), Table(("", ""), tuple(rows))).html()


def _map(found: Explored, where: str, no_map: str) -> tuple[str, ...]:
    one = found["map"]
    if one is None:
        return (paragraph(f"There is no map of the items: {no_map}.", "soft"),)
    clusters = one["clusters"]
    chart = Cloud(tuple((str(i), tuple(map(tuple, cluster["places"]))) for i, cluster in enumerate(clusters, 1)))
    share = sum(cluster["events"] for cluster in clusters)
    title = f"The {one['items']:,} busiest items, {percent(share, 0)} of the events, in {len(clusters)} clusters"
    rows = tuple(
        (str(i), f"{cluster['items']:,}", percent(cluster["events"]), ", ".join(cluster["busiest"]))
        for i, cluster in enumerate(clusters, 1)
    )
    note = (
        f"{where}; first two principal components, which hold {percent(one['explained'], 0)} of the variance, so that "
        "clusters overlap here which are apart in all dimensions. Clusters by k-means."
    )
    header = ("cluster", "items", "of events", "busiest items")
    label = f"Map of items as points in {len(clusters)} colours"
    return (Figure(title, label, (("", chart),), Table(header, rows, wrap=True), note).html(),)


def _times(found: Explored, part: str, time_zone: str) -> tuple[str, ...]:
    train = found["train"]
    if train["days"] is None:
        return ()
    return (_hours(train["hours"], time_zone), *_days(found, part, time_zone), _gaps(train))


def _hours(hours: list[list[float]], time_zone: str) -> str:
    most = max(max(row) for row in hours) or 1.0
    shades = tuple(tuple(value / most for value in row) for row in hours)
    columns = tuple(str(hour) for hour in range(24))
    sums = [sum(row[hour] for row in hours) for hour in range(24)]
    peak, low = max(range(24), key=lambda hour: sums[hour]), min(range(24), key=lambda hour: sums[hour])
    busiest = max(range(7), key=lambda day: sum(hours[day]))
    title = f"Busiest at {peak}:00 and on {WEEKDAYS[busiest]}, quietest at {low}:00"
    rows = tuple((day, *(f"{value:,.0f}" for value in row)) for day, row in zip(WEEKDAYS, hours, strict=True))
    label = "Table of shades: events by day of the week and hour"
    chart = Shades(WEEKDAYS, columns, shades, square=False)
    note = f"Events in an hour, mean over the days of the log; {time_zone}."
    return Figure(title, label, (("", chart),), Table(("", *columns), rows), note).html()


def _days(found: Explored, target_name: str, time_zone: str) -> tuple[str, ...]:
    train, target = found["train"]["days"], found["target"]["days"] or []
    dates = sorted({one["date"] for one in (*train, *target)})
    if len(dates) < 2:
        return ()
    place = {date: float(i) for i, date in enumerate(dates)}
    step = max(1, len(dates) // 6)
    ticks = tuple((float(i), dates[i][5:]) for i in range(0, len(dates), step))
    series = tuple(
        Series(name, tuple(place[d["date"]] for d in days), tuple(float(d["events"]) for d in days), kind)
        for name, days, kind in (("train", train, "accent"), (target_name, target, "dashed"))
        if days
    )
    y = Axis.of("events a day", [value for one in series for value in one.ys])
    chart = Lines(series, Axis("", 0, len(dates) - 1, ticks=ticks), y, height=240)
    busiest = max(train, key=lambda day: day["events"])
    title = f"{len(train)} days of train events, the busiest {busiest['date']} with {busiest['events']:,}"
    rows = tuple(
        (day["date"], part, f"{day['events']:,}", f"{day['sessions']:,}")
        for part, days in (("train", train), (target_name, target))
        for day in days
    )
    table = Table(("day", "part", "events", "sessions begun"), rows, 2)
    return (Figure(title, "Lines of events a day", (("", chart),), table, f"Days in {time_zone}.").html(),)


def _gaps(train: Explored) -> str:
    counts, edges = train["gaps"], gap_edges()
    whole = sum(counts) or 1
    last = max((i for i, count in enumerate(counts) if count), default=1)
    # Gaps of 0 s have no place on a logarithmic axis: they stand left of 1 s.
    bounds = (0.5, *edges[1 : last + 2].tolist())
    shares = tuple(100 * count / whole for count in counts[: last + 1])
    x = Axis("time to the next event (logarithmic)", 0.5, max(bounds[-1], 2.0), True, MOMENTS)
    chart = Columns(bounds, shares, x, Axis.of("% of gaps", shares))
    quantiles = train["gap_quantiles"]
    title = (
        f"Half of the events follow within {lasting(quantiles['0.5'])}, nine in ten within {lasting(quantiles['0.9'])}"
    )
    rows = [(f"quantile {q}, at most", lasting(value)) for q, value in quantiles.items()]
    rows += [(f"from {lasting(float(edges[i]))}", f"{share:.2f} %") for i, share in enumerate(shares)]
    note = "Gaps of 0 s, which a logarithmic axis has no place for, stand left of 1 s; each bin is half an octave."
    table = Table(("", ""), tuple(rows))
    return Figure(title, "Histogram of gaps between events", (("", chart),), table, note).html()


def _drift(found: Explored, part: str) -> str:
    train, target, drift = found["train"], found["target"], found["drift"]
    rows = [
        ("events a session, mean", f"{train['mean_length']:.2f}", f"{target['mean_length']:.2f}"),
        (
            "events a session, median",
            f"{train['length_quantiles']['0.5']:.0f}",
            f"{target['length_quantiles']['0.5']:.0f}",
        ),
        ("events on an item already seen", percent(train["revisits"]), percent(target["revisits"])),
        ("events on the busiest 1 % of train's items", percent(drift["top_train"]), percent(drift["top_target"])),
        ("events on items that train lacks", percent(0.0), percent(drift["unseen"])),
    ]
    if train["types"] is not None and target["types"] is not None:
        rows += [(name, percent(train["types"][name], 2), percent(target["types"][name], 2)) for name in TARGETS]
    if train["gap_quantiles"] is not None and target["gap_quantiles"] is not None:
        ours, theirs = (lasting(one["gap_quantiles"]["0.5"]) for one in (train, target))
        rows.append(("gap between events, median, at most", ours, theirs))
    title = f"{percent(drift['common'], 0)} of the popularity is common to train and {part}"
    bars = (
        Bar("common to both", 100 * drift["common"], percent(drift["common"]), True),
        Bar("items that train lacks", 100 * drift["unseen"], percent(drift["unseen"])),
    )
    note = (
        "Common: each item's smaller share of the events of the two, summed. Sessions to recommend for are cut where "
        "their labels begin, so that they are shorter than whole ones."
    )
    table = Table(("", "train", part), tuple(rows))
    label = (
        f"Bars of the popularity in common and of events on items that train lacks: {bars[0].shown}, {bars[1].shown}"
    )
    return Figure(title, label, (("", Bars(bars)),), table, note, unfolded=True).html()
