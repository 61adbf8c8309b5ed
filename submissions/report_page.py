"""The report of a run as a page: the score, what made it, what it cost, and sessions to look at."""

from collections.abc import Mapping
from html import escape
from typing import Any

from events.columns import TARGETS
from submissions.axes import Axis
from submissions.charts import Bar, Bars, Intervals, Lines, Series
from submissions.page import Figure, Section, Table, folded, items, page, paragraph
from submissions.report import COLUMNS, columns_of, number, spread
from submissions.report_models import candidates_section, ranker_section, retrievers_section

Gathered = Mapping[str, Any]

MINUTE, HOUR, DAY = 60, 3_600, 86_400


def render(found: Gathered) -> str:
    """The page of what ``gathering.gather`` found."""
    sections = [
        Section("ladder", "What the ranker adds", _ladder(found)),
        candidates_section(found),
        ranker_section(found),
        retrievers_section(found),
        Section("slices", "Where it is good", _slices(found)),
        Section("sessions", "Sessions to look at", _sessions(found)),
        Section("cost", "What it cost", _cost(found)),
        Section("settings", "Settings and data", _settings(found)),
    ]
    shown = [section for section in sections if section.parts]
    ending = "Made by python -m scripts.report from the files of the run; this page needs no network."
    return page(f"Report of the run {found['name']}", _opening(found), shown, ending)


def _opening(found: Gathered) -> list[str]:
    scores, k = found["scores"], found["k"]
    best = scores["sliced"]  # the ranker, but where the ladder leaves it out
    ranker = scores["ladder"][best]
    scored = [target for target in TARGETS if ranker.get(target) is not None]
    parts = "".join(f"<li><b>{number(ranker[target])}</b><span>{target}</span></li>" for target in scored)
    interval = ranker.get("interval")
    around = f"95 % interval {interval[0]:.4f} to {interval[1]:.4f}" if interval else "no interval: too few sessions"
    ranked = "models that never saw them" if best == "ranker" else best
    said = [f"Weighted recall@{k} of {scores['sessions']:,} held-out sessions, ranked by {ranked}."]
    gain = scores.get("ranker_minus_rules")
    if gain:
        said.append(f"That is {spread(*gain)} against the rules (95 %, paired).")
    if found["test"]:
        said.append(f"On the test sessions: {number(found['test']['ladder'][best]['total'])}.")
    else:
        said.append("The test sessions have not been scored: their labels are not known, or submit has not run.")
    return [
        f'<div class="score"><b>{number(ranker["total"])}</b><span class="soft">{around}</span></div>',
        f'<ul class="parts">{parts}</ul>',
        paragraph(" ".join(said)),
    ]


def _rungs_figure(ladder: Mapping[str, Any], k: int, title: str, unfolded: bool) -> str:
    bars, rows, columns = [], [], columns_of(ladder.values())
    for rung, scores in ladder.items():
        interval = scores.get("interval") or (None, None)
        total = scores["total"]
        rows.append((
            rung, *(number(scores.get(column)) for column in columns),
            "" if interval[0] is None else f"{interval[0]:.4f} to {interval[1]:.4f}", number(scores["mrr"]["total"]),
        ))  # fmt: skip
        if total is not None:
            bars.append(Bar(rung, total, number(total), rung == "ranker", *interval))
    ends = [end for bar in bars for end in (bar.value, bar.low, bar.high) if end is not None]
    table = Table(("", *columns, "95 % interval", f"MRR@{k}"), tuple(rows), strong=(len(rows) - 1,))
    label = "Each rung's weighted recall with its interval: " + ", ".join(f"{bar.label} {bar.shown}" for bar in bars)
    chart = Intervals(tuple(bars), Axis.of(f"weighted recall@{k}", ends))
    return Figure(title, label, (("", chart),), table, unfolded=unfolded).html()


def _ladder(found: Gathered) -> tuple[str, ...]:
    scores, k = found["scores"], found["k"]
    ladder = scores["ladder"]
    totals = {rung: one["total"] for rung, one in ladder.items() if one["total"] is not None}
    title = "No rung could be scored"
    if totals:
        best = max(totals, key=lambda rung: totals[rung])
        title = f"The best rung is {best}, with {totals[best]:.4f}"
    if "ranker" in totals and "rules" in totals:
        gain = totals["ranker"] - totals["rules"]
        title = f"The ranker is {abs(gain):.4f} {'above' if gain >= 0 else 'below'} the rules"
        low, high = scores.get("ranker_minus_rules") or (0.0, 0.0)
        title += ", which may be chance" if low <= 0 <= high else ""
    note = paragraph(
        "Popularity, the session's own history and hand-written rules are what a ranker has to beat.", "soft"
    )
    parts = [note, _rungs_figure(ladder, k, title, unfolded=True)]
    if found["test"]:
        test = found["test"]["ladder"]
        best = scores["sliced"]
        title = f"On the test sessions the {best} scores {number(test[best]['total'])}"
        parts.append(_rungs_figure(test, k, title, unfolded=False))
    return tuple(parts)


def _slices(found: Gathered) -> tuple[str, ...]:
    slices = found["scores"]["slices"].get("session length", {})
    names = list(slices)
    ticks = tuple((float(i), name) for i, name in enumerate(names))
    series = []
    for column in COLUMNS:
        points = [(float(i), slices[name][column]) for i, name in enumerate(names) if slices[name][column] is not None]
        if points:
            xs, ys = zip(*points, strict=True)
            series.append(Series(column, xs, ys, "ink" if column == "total" else column, points=True))
    if not series:
        return ()
    totals = {name: slices[name]["total"] for name in names if slices[name]["total"] is not None}
    best, worst = max(totals, key=lambda name: totals[name]), min(totals, key=lambda name: totals[name])
    title = f"Best on sessions of {best} events ({totals[best]:.4f}), worst on those of {worst} ({totals[worst]:.4f})"
    chart = Lines(
        tuple(series),
        Axis("visible events of the session", -0.2, len(names) - 0.8, ticks=ticks),
        Axis.of(f"recall@{found['k']}", [y for one in series for y in one.ys]),
    )
    columns = columns_of(slices.values())
    rows = tuple((name, *(number(slices[name][column]) for column in columns)) for name in names)
    label = f"Lines of recall by session length for {', '.join(one.name for one in series)}"
    return (Figure(title, label, (("", chart),), Table(("events", *columns), rows)).html(),)


def ago(seconds: int | None) -> str:
    """How long before the last event, in its greatest unit.

    >>> ago(0), ago(90), ago(7200), ago(None)
    ('', '1 min', '2 h', '')
    """
    if not seconds:
        return ""
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (1, "s")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return ""


def _sessions(found: Gathered) -> tuple[str, ...]:
    if not found["examples"]:
        return ()
    said = ["Drawn at random, not picked."]
    if any(len(one["truth"]) > 1 for one in found["examples"]):
        said[0] = (
            "Drawn at random, not picked: four in ten from sessions with an order to come, three from those with a "
            "cart, the rest from those with a click."
        )
    if any(event["ago"] is not None for one in found["examples"] for event in one["history"]):
        said.append("Beside an event stands how long before the last one it was.")
    said.append("✓ marks an item that came; “seen” one of the session's own.")
    parts = [paragraph(" ".join(said))]
    for one in found["examples"]:
        hidden = len(one["history"])
        history = [
            (event["item"], " · ".join(word for word in (event["type"], ago(event["ago"])) if word), False)
            for event in one["history"]
        ]
        sides = [f"<div><h4>seen, newest first</h4>{items(history)}"]
        if one["events"] > hidden:
            sides.append(paragraph(f"and {one['events'] - hidden:,} earlier", "soft"))
        sides.append("</div><div>")
        for target, truth in one["truth"].items():
            if truth:
                in_list = {entry["item"] for entry in one["lists"].get(target, ()) if entry["hit"]}
                sides.append(f"<h4>came: {target}</h4>{items((name, '', name in in_list) for name in truth)}")
        sides.append("</div>")
        hits = 0
        for target, entries in one["lists"].items():
            hits += sum(entry["hit"] for entry in entries)
            rows = [(entry["item"], "seen" if entry["seen"] else "", entry["hit"]) for entry in entries]
            sides.append(f"<div><h4>list for {target}</h4>{items(rows, numbered=True)}</div>")
        remark = f"{_count(one['events'], 'event')} seen, {_count(hits, 'hit')} in the lists"
        parts.append(_card(f"Session {one['session']}", remark, "".join(sides)))
    return tuple(parts)


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def _card(title: str, remark: str, body: str) -> str:
    heading = f"<h3>{escape(title)}</h3>{paragraph(remark, 'soft')}"
    return f'<article class="session">{heading}<div class="sides">{body}</div></article>'


def _cost(found: Gathered) -> tuple[str, ...]:
    costs = found["costs"]
    if not costs:
        return ()
    names = [one["stage"] if one["pass"] == "both" else f"{one['stage']}, {one['pass']}" for one in costs]
    wall = sum(one["wall_s"] for one in costs)
    peak = max(one["peak_gib"] for one in costs)
    longest = max(range(len(costs)), key=lambda i: costs[i]["wall_s"])
    fullest = max(range(len(costs)), key=lambda i: costs[i]["peak_gib"])
    times = tuple(
        Bar(name, one["wall_s"], f"{one['wall_s']:.1f} s", i == longest)
        for i, (name, one) in enumerate(zip(names, costs, strict=True))
    )
    memory = tuple(
        Bar(name, one["peak_gib"], f"{one['peak_gib']:.2f} GiB", i == fullest)
        for i, (name, one) in enumerate(zip(names, costs, strict=True))
    )
    rows = tuple(
        (one["stage"], one["pass"], f"{one['wall_s']:.1f}", f"{one['cpu_s']:.1f}", f"{one['peak_gib']:.2f}")
        for one in costs
    )
    table = Table(("stage", "pass", "wall s", "CPU s", "peak GiB"), rows, left=2)
    title = f"{wall / MINUTE:.1f} minutes in all, most of them in {names[longest]}; {peak:.1f} GiB at the peak"
    label = f"Bars of wall time and of peak memory of {len(costs)} stages"
    charts = (("wall time", Bars(times)), ("peak memory", Bars(memory)))
    return (Figure(title, label, charts, table, least=330).html(),)


def _settings(found: Gathered) -> tuple[str, ...]:
    by_part: dict[str, list[tuple[str, str]]] = {}
    for key, value in found["settings"].items():
        part, _, rest = key.partition(".")
        by_part.setdefault(part, []).append((rest or part, "" if value is None else str(value)))
    parts = [
        folded(f"{part} ({len(rows)})", Table(("setting", "value"), tuple(rows), left=2, wrap=True).html())
        for part, rows in by_part.items()
    ]
    rows = tuple((one["file"], f"{one['bytes']:,}", one["digest"]) for one in found["inputs"])
    said = "A digest is of the first, middle and last 64 KiB of a file; with the size it tells two files apart."
    parts.append(
        folded(f"data ({len(rows)} files)", paragraph(said, "soft"), Table(("file", "bytes", "digest"), rows).html())
    )
    code = tuple((stage, str(digest)) for stage, digest in found["code"].items() if digest)
    parts.append(folded("code", Table(("stage", "digest of its sources"), code).html()))
    if found["left_out"]:
        table = Table(("left out", "why"), tuple(found["left_out"].items()), left=2, wrap=True)
        parts.append(folded(f"left out ({len(found['left_out'])})", table.html(), unfolded=True))
    return tuple(parts)
