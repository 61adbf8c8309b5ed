"""Sections of a run's report about its parts: candidate sources, rankers, retrievers."""

from collections.abc import Mapping
from statistics import median
from typing import Any

from submissions.axes import Axis
from submissions.candidate_recall import AT_POOL
from submissions.charts import Bar, Bars, Chart, Lines, Series, Shades
from submissions.page import Figure, Section, Table, folded, paragraph
from submissions.report import number

Gathered = Mapping[str, Any]

POOL = "pool"
TOP = 12
"""Features shown for each target."""

OTHER = "first level"
"""Group of the scores of first-level models, which stacking adds."""


def candidates_section(found: Gathered) -> Section:
    """Recall at every depth, overlap, and what each source alone finds."""
    title = "What the sources propose"
    proposals = found["proposals"]
    if proposals is None:
        missing = "This run did not keep what its sources propose: run the stage evaluate again."
        return Section("candidates", title, (paragraph(missing, "soft"), _depths_table(found["scores"])))
    overlap = proposals["overlap"]
    parts = [_curves(proposals)]
    if overlap["sources"]:
        parts += [_alone(overlap), _overlap(overlap)]
    return Section("candidates", title, tuple(parts))


def _depths_table(scores: Gathered) -> str:
    recall = scores["candidate_recall"]
    depths = [depth for depth in next(iter(recall.values()), {}) if depth != "targets"]
    rows = tuple((source, *(number(at[depth]) for depth in depths)) for source, at in recall.items())
    return Table(("source", *depths), rows).html()


def _curves(proposals: Gathered) -> str:
    depths, recall = proposals["depths"], proposals["recall"]
    curves = {source: [at[str(depth)] for depth in depths] for source, at in recall.items()}
    drawn = {source: curve for source, curve in curves.items() if None not in curve}
    x = Axis("candidates", 1, depths[-1], True, ((1, "1"), (20, "20"), (200, "200")))
    y = Axis.of("", [value for curve in drawn.values() for value in curve])
    xs = tuple(map(float, depths))
    pool = drawn.get(POOL)
    behind = () if pool is None else (Series("", xs, tuple(pool), "dashed", named=False),)
    order = sorted(drawn, key=lambda source: (source != POOL, -drawn[source][-1]))
    charts: list[tuple[str, Chart]] = []
    for source in order:
        line = Series("", xs, tuple(drawn[source]), "accent", named=False)
        heading = f"{source}, {number(recall[source][AT_POOL])}"
        charts.append((heading, Lines((line,) if source == POOL else (*behind, line), x, y, height=150)))
    best = next((source for source in order if source != POOL), "")
    title = f"All sources together hold {number(recall[POOL][AT_POOL])} of what is to come"
    if best:
        title += f"; the best alone, {best}, {number(recall[best][AT_POOL])}"
    header = ("source", "target", *(str(depth) for depth in depths), "whole list")
    rows = []
    for source in order:
        rows.append((source, "total", *(number(value) for value in drawn[source]), number(recall[source][AT_POOL])))
        for target, at in recall[source]["targets"].items():
            if at[AT_POOL] is not None:
                rows.append((source, target, *(number(at[str(depth)]) for depth in depths), number(at[AT_POOL])))
    strong = tuple(i for i, row in enumerate(rows) if row[0] == POOL and row[1] == "total")
    label = "Weighted recall against the number of candidates"
    note = (
        "Weighted recall at each depth (a logarithmic axis); beside the name that of the whole list. Dashed: the pool, "
        "in the order of summed reciprocal ranks. A perfect ranker would score the pool's number."
    )
    return Figure(
        title, label, tuple(charts), Table(header, tuple(rows), 2, strong), note, pairs=True, least=165
    ).html()


def _alone(overlap: Gathered) -> str:
    pairs = sorted(zip(overlap["sources"], overlap["alone"], strict=True), key=lambda pair: -pair[1])
    bars = tuple(Bar(source, share, f"{share:.4f}", i == 0) for i, (source, share) in enumerate(pairs))
    title = f"{pairs[0][0]} brings most that no other source has: {pairs[0][1]:.4f}"
    rows = tuple((bar.label, bar.shown) for bar in bars)
    note = "Share of all true items, weighted by target, that one source alone proposes: the pool would lose them."
    label = "Bars of what each source alone finds: " + ", ".join(f"{bar.label} {bar.shown}" for bar in bars)
    return Figure(title, label, (("", Bars(bars)),), Table(("source", "found alone"), rows), note).html()


def _overlap(overlap: Gathered) -> str:
    names = tuple(overlap["sources"])
    proposed = overlap["proposed"]
    shares = tuple(tuple(both / max(row[i], 1) for both in row) for i, row in enumerate(proposed))
    shown = tuple(tuple("" if i == j else f"{100 * s:.0f}" for j, s in enumerate(row)) for i, row in enumerate(shares))
    off = [(share, names[i], names[j]) for i, row in enumerate(shares) for j, share in enumerate(row) if i != j]
    title = "One source proposes"
    if off:
        share, inner, outer = max(off)
        title = f"Closest of all: {100 * share:.0f} % of what {inner} proposes, {outer} proposes, too"
    found = overlap["found"]
    header = ("of the candidates of …", "also by …", "candidates of both", "share, %", "true items of both, %")
    rows = tuple(
        (a, b, f"{proposed[i][j]:,}", f"{100 * shares[i][j]:.0f}", f"{100 * found[i][j]:.1f}")
        for i, a in enumerate(names)
        for j, b in enumerate(names)
    )
    note = "Of a row's candidates, the percentage that the column proposes, too."
    label = f"Table of shades: the share of candidates that each two of {len(names)} sources have in common"
    return Figure(title, label, (("", Shades(names, names, shares, shown)),), Table(header, rows, 2), note).html()


def ranker_section(found: Gathered) -> Section:
    """Gains by group and feature, learning curves, drift."""
    parts = [*_groups(found), *_features(found), *_trees(found), *_drift(found)]
    if found["reasons"]:
        rows = tuple((name, str(reason)) for name, reason in found["reasons"].items())
        parts.append(folded("models that could not be trained", Table(("model", "why"), rows, 2, wrap=True).html()))
    return Section("ranker", "What the ranker looks at", tuple(parts))


def _groups(found: Gathered) -> list[str]:
    gains, groups = found["gains"], found["groups"]
    if not gains:
        return []
    if groups is None:
        missing = "This run did not keep the groups of its features: run the stage features again."
        return [paragraph(missing, "soft")]
    sums: dict[str, dict[str, float]] = {}
    for target, features in gains.items():
        for feature, share in features.items():
            of_group = sums.setdefault(groups.get(feature, OTHER), {})
            of_group[target] = of_group.get(target, 0.0) + share
    targets = tuple(gains)
    order = sorted(sums, key=lambda group: -sum(sums[group].values()))
    charts = tuple(
        (target, Bars(tuple(_share_bar(g, sums[g].get(target, 0.0), g == order[0]) for g in order)))
        for target in targets
    )
    rows = tuple((group, *(f"{100 * sums[group].get(target, 0.0):.1f}" for target in targets)) for group in order)
    mean = sum(sums[order[0]].values()) / len(targets)
    title = f"Features of the group {order[0]} bring most of the gain, {100 * mean:.0f} % on average"
    label = "Bars of each feature group's share of the gain"
    note = "Gain is what LightGBM's splits on a feature take off the loss, as share of all; the mean of the folds."
    return [Figure(title, label, charts, Table(("group, % of gain", *targets), rows), note, least=210).html()]


def _share_bar(name: str, share: float, strong: bool) -> Bar:
    return Bar(name, share, f"{100 * share:.1f}", strong)


def _features(found: Gathered) -> list[str]:
    gains = found["gains"]
    if not gains:
        return []
    charts, leaders = [], []
    for target, features in gains.items():
        top = list(features.items())[:TOP]
        bars = tuple(_share_bar(name, share, i == 0) for i, (name, share) in enumerate(top))
        charts.append((f"{target}, % of gain", Bars(bars, above=True)))
        leaders.append(f"{top[0][0]} for {target}")
    rows = tuple(
        (target, feature, f"{100 * share:.2f}")
        for target, features in gains.items()
        for feature, share in list(features.items())[: 3 * TOP]
    )
    title = f"The strongest features: {', '.join(leaders)}"
    label = f"Bars of the gain of the {TOP} strongest features"
    return [Figure(title, label, tuple(charts), Table(("target", "feature", "% of gain"), rows, 2), least=330).html()]


def _trees(found: Gathered) -> list[str]:
    fits = [fit for fit in found["fits"] if fit.get("curve") and fit["half"] is None]
    if not fits and found["fits"] and all("curve" in fit for fit in found["fits"]):
        return [paragraph("No ranker stops early: each has as many trees as the settings say.", "soft")]
    if not fits:
        return [paragraph("This run did not keep its rankers' learning curves: run the stage rank again.", "soft")]
    by_target: dict[str, list[Any]] = {}
    for fit in fits:
        by_target.setdefault(fit["target"], []).append(fit)
    longest = max(len(fit["curve"]) for fit in fits)
    charts: list[tuple[str, Chart]] = []
    for target, some in by_target.items():
        series = tuple(
            Series("", tuple(range(1, len(fit["curve"]) + 1)), tuple(fit["curve"]), "thin", False, fit["trees"] - 1)
            for fit in some
        )
        y = Axis.of("", [value for fit in some for value in fit["curve"]], zero=False)
        charts.append((target, Lines(series, Axis("trees", 0, longest), y, height=190)))
    taken = ((target, median(fit["trees"] for fit in some)) for target, some in by_target.items())
    title = f"Trees that a model takes, in the median: {', '.join(f'{target} {trees:.0f}' for target, trees in taken)}"
    rows = tuple(
        (fit["target"], str(fit["fold"]), str(fit["seed"]), f"{fit['trees']:,}", f"{fit['inner_score']:.4f}",
         f"{fit['curve'][0]:.4f}", f"{fit['curve'][-1]:.4f}", f"{fit['sessions']:,}", f"{fit['rows']:,}")
        for fit in fits
    )  # fmt: skip
    header = ("target", "fold", "seed", "trees", "score", "first tree", "last tree", "sessions", "rows")
    label = f"Lines of {found['watched']} on the inner split against the number of trees, one a fold"
    note = (
        f"{found['watched']} on the inner split, which no score is reported on; a dot marks the number of trees taken."
    )
    return [Figure(title, label, tuple(charts), Table(header, rows), note, least=210).html()]


def _drift(found: Gathered) -> list[str]:
    drift = list((found["scores"].get("drift") or {}).items())
    if not drift:
        return []
    bars = tuple(Bar(name, value, f"{value:.3f}", i == 0) for i, (name, value) in enumerate(drift[:TOP]))
    title = f"{drift[0][0]} drifts most between validation and test: {drift[0][1]:.3f}"
    rows = tuple((name, f"{value:.3f}") for name, value in drift[: 3 * TOP])
    note = "Kolmogorov-Smirnov distance of a feature's values in the two passes: 0 the same, 1 apart."
    label = "Bars of the distance of the features that drift most"
    table = Table(("feature", "distance"), rows)
    return [Figure(title, label, (("", Bars(bars)),), table, note).html()]


def retrievers_section(found: Gathered) -> Section:
    """What each retriever cost, and the curves of those that learn in epochs."""
    retrievers = found["retrievers"]
    if not retrievers:
        return Section("retrievers", "Retrievers", ())
    rows = []
    for name, one in retrievers.items():
        last = (one.get("epochs") or [{}])[-1]
        rows.append((
            name, f"{one['items']:,}", f"{one['fit_wall_s']:.1f}", f"{one['fit_cpu_s']:.1f}",
            "exact" if one["exact"] else f"{one['recall']:.3f}", str(len(one.get("epochs", ()))) if last else "",
            f"{last['loss']:.4f}" if last else "", _recall(last),
        ))  # fmt: skip
    header = ("retriever", "items", "fit, wall s", "CPU s", "index recall", "epochs", "last loss", "held-out recall")
    table = Table(header, tuple(rows)).html()
    return Section("retrievers", "Retrievers", (table, *_epochs(retrievers)))


def _recall(epoch: Gathered) -> str:
    return "" if epoch.get("recall") is None else f"{epoch['recall']:.4f}"


def _epochs(retrievers: Gathered) -> list[str]:
    learned = {name: one["epochs"] for name, one in retrievers.items() if len(one.get("epochs", ())) > 1}
    if not learned:
        said = "No retriever was trained for more than one epoch, or tells of its epochs: there is no curve to draw."
        return [paragraph(said, "soft")]
    charts: list[tuple[str, Chart]] = []
    for name, epochs in learned.items():
        xs = tuple(range(1, len(epochs) + 1))
        for measure in ("loss", "recall"):
            ys = tuple(epoch[measure] for epoch in epochs)
            if None not in ys:
                ticks = tuple((float(x), str(x)) for x in xs[:: max(1, len(xs) // 6)])
                x, y = Axis("epoch", 0.8, len(xs) + 0.2, ticks=ticks), Axis.of("", ys, zero=False)
                heading = f"{name}, {'loss' if measure == 'loss' else 'held-out recall'}"
                charts.append((heading, Lines((Series("", xs, ys, "accent", False, points=True),), x, y, height=170)))
    fell = [f"of {name} went from {some[0]['loss']:.3f} to {some[-1]['loss']:.3f}" for name, some in learned.items()]
    title = f"The loss {', that '.join(fell)}"
    rows = tuple(
        (name, str(epoch["number"]), f"{epoch['loss']:.4f}", _recall(epoch), f"{epoch['seconds']:.1f}")
        for name, epochs in learned.items()
        for epoch in epochs
    )
    table = Table(("retriever", "epoch", "loss", "held-out recall", "seconds"), rows)
    label = "Lines of loss and held-out recall by epoch"
    return [Figure(title, label, tuple(charts), table, least=210, pairs=True).html()]
