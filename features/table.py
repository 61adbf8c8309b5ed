"""The table of all features, ``features/FEATURES.md``, generated: ``python -m features.table``."""

from dataclasses import replace
from pathlib import Path

from events.files import atomic_file
from features.affinity import affinity_features
from features.items import item_features
from features.knowledge import (
    AGE_FEATURES,
    PRICE_FEATURES,
    WORDS,
    code_features,
    space_features,
    table_features,
    user_features,
)
from features.match import match_features
from features.pairs import PAIR_FEATURES
from features.registry import DTYPE, Feature
from features.sessions import SESSION_FEATURES
from features.settings import FeaturesSettings
from features.similarity import own_features, similarity_features
from features.sources import POOL_FEATURES, source_features

PATH = Path(__file__).with_name("FEATURES.md")

HEAD = f"""# Features

Written by `python -m features.table`; do not edit. Every feature is a column of one {DTYPE} matrix, a row a candidate;
NaN says that it has no value. A log without what a feature needs is ranked without that feature. `<source>` stands for
each column of the pool, `<matrix>` for each co-visitation matrix, `<retriever>` for each retriever: in `_zscore` and
`_place`, for each of its targets, if it has any (`<name>_<target>`). What a retriever needs these need, too; where it
does not know the item or the session, they have no value. An item's *share* for another is the score in its neighbour
list divided by the list's sum. Ages in the session are measured from its last event.

The last column is what a feature costs: nanoseconds a row on one core, the mean of its group
(`python -m benchmarks.features`, with three matrices and four retrievers).

The group `knowledge` is there where the shop has a table of items or sessions: `leaf` is the whole category path,
`parent` the path without its last part, `<space>` is `text` or vectors that the user supplies, `<number>` and
`<category>` are columns of the table of sessions.
"""

COST_NS = {
    "sources": "9",
    "pool": "6",
    "item": "1",
    "session": "1",
    "match": "1",
    "pair": "2",
    "affinity": "8",
    "similarity": "24",
}
"""Of each group that ``benchmarks.features`` measures."""

USERS = tuple(
    replace(feature, name=f"user_<{column}>")
    for feature, column in zip(user_features(("<number>",), ("<category>",)), ("number", "category"), strict=True)
)


def all_features(settings: FeaturesSettings) -> tuple[Feature, ...]:
    """Every feature, in the order of the columns, with placeholders for sources, matrices and retrievers."""
    return (
        *source_features(("<source>",), settings),
        *POOL_FEATURES,
        *item_features(settings),
        *SESSION_FEATURES,
        *match_features(settings),
        *PAIR_FEATURES,
        *affinity_features("<matrix>"),
        *similarity_features("<retriever>"),
        *own_features("<retriever>"),
        *table_features(tuple(WORDS), True, settings.windows_days[-1]),
        *(feature for code in WORDS for feature in code_features(code)),
        *PRICE_FEATURES,
        *AGE_FEATURES,
        *space_features("<space>"),
        *USERS,
    )


def markdown() -> str:
    """The table for the default settings, with every kind of source score."""
    settings = FeaturesSettings(source_scores=("zscore", "share"))
    lines = [HEAD, "| name | group | dtype | meaning | needs | ns |", "|---|---|---|---|---|---|"]
    for feature in all_features(settings):
        needs = ", ".join(sorted(feature.needs)) or "-"
        cost = COST_NS.get(feature.group, "-")
        lines.append(f"| `{feature.name}` | {feature.group} | {DTYPE} | {feature.meaning} | {needs} | {cost} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with atomic_file(PATH) as beside:
        beside.write_text(markdown(), encoding="utf-8")
