"""Ask a finished run for a session's items, with the reasons, or why one item stands where it does.

python -m scripts.recommend --run runs/shop --session '12:clicks 55:carts'
python -m scripts.recommend --run runs/shop --session-id 12899779 --target clicks --explain 55
"""

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

from events.columns import TARGETS
from events.errors import InputError
from rankers.answers import Explanation, Recommendation
from rankers.reasons import Reason, words
from rankers.recommender import Recommender
from scripts.cli import bare_parser, guarded
from submissions.report import table


def read_session(text: str) -> list[tuple[str, None, str]]:
    """Events of ``ITEM`` or ``ITEM:TYPE``, separated by spaces, the first one first; an item without a type is clicked.

    >>> read_session("12 55:carts")
    [('12', None, 'clicks'), ('55', None, 'carts')]

    Raises
    ------
    InputError
        If what stands behind the last colon is no type.
    """
    events = []
    for word in text.split():
        item, colon, kind = word.rpartition(":")
        if colon and kind not in TARGETS:
            raise InputError("--session", None, f"unknown event type in {word!r}", "write ITEM:clicks, carts or orders")
        events.append((item, None, kind) if colon else (word, None, TARGETS[0]))
    return events


def _reasons(reasons: tuple[Reason, ...]) -> list[dict[str, Any]]:
    return [{"source": one.source, "place": one.place, "items": list(one.items)} for one in reasons]


def as_json(found: Recommendation) -> dict[str, Any]:
    """A list and its reasons as plain values."""
    rows = zip(found.items, found.scores.tolist(), found.reasons, strict=True)
    items = [{"item": item, "score": score, "reasons": _reasons(reasons)} for item, score, reasons in rows]
    return {"target": found.target, "unknown": list(found.unknown), "items": items}


def explanation_json(found: Explanation) -> dict[str, Any]:
    """An explanation as plain values; a feature without a value has ``null``."""
    features = [
        {
            "feature": one.feature,
            "value": None if math.isnan(one.value) else one.value,
            "contribution": one.contribution,
            "meaning": one.meaning,
        }
        for one in found.features
    ]
    kept = {"item": found.item, "target": found.target, "place": found.place, "candidates": found.candidates}
    more = {"score": found.score, "base": found.base, "reasons": _reasons(found.reasons), "features": features}
    return kept | more


def show(found: Recommendation) -> None:
    """Print a list."""
    if found.unknown:
        print(f"left out, as the run does not know them: {', '.join(map(str, found.unknown))}")
    rows = [
        [str(place), str(item), f"{score:.3f}", words(reasons)]
        for place, (item, score, reasons) in enumerate(
            zip(found.items, found.scores.tolist(), found.reasons, strict=True), 1
        )
    ]
    print(table(["", found.target, "score", "proposed by, at place"], rows, (3,)))


def show_explanation(found: Explanation) -> None:
    """Print why an item stands where it does."""
    print(f"item {found.item} for {found.target}: place {found.place + 1} of {found.candidates} candidates")
    print(f"score {found.score:.3f}; every item has {found.base:.3f} to begin with")
    print(f"proposed by {words(found.reasons, len(found.reasons))}\n")
    rows = [
        [one.feature, "" if math.isnan(one.value) else f"{one.value:.4g}", f"{one.contribution:+.3f}", one.meaning]
        for one in found.features
    ]
    print(table(["feature", "value", "adds", "which is"], rows, (0, 3)))


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    example = "python -m scripts.recommend --run runs/shop --session '12:clicks 55:carts'"
    made = bare_parser("Ask a finished run for a session's items, with the reasons.", example)
    made.add_argument("--run", type=Path, required=True, help="folder of the run, such as runs/shop")
    which = made.add_mutually_exclusive_group(required=True)
    which.add_argument("--session", metavar="EVENTS", help="ITEM or ITEM:TYPE, separated by spaces; may be empty")
    which.add_argument("--session-id", metavar="ID", help="a session that the run scores")
    made.add_argument("--target", default="orders", help="clicks, carts or orders (orders)")
    made.add_argument("--k", type=int, default=20, help="items (20)")
    made.add_argument("--explain", metavar="ITEM", help="say why this item stands where it does")
    made.add_argument("--json", action="store_true", help="one JSON line instead of a table")
    return made.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Command line: a table, or one JSON line."""

    def work() -> None:
        arguments = _arguments(argv)
        target, k, item = arguments.target, arguments.k, arguments.explain
        events: Any = None if arguments.session is None else read_session(arguments.session)
        asked = Recommender.load(arguments.run)
        if events is not None:
            events = [(asked.id_of(text), ts, kind) for text, ts, kind in events]
        if item is not None:
            why = (
                asked.explain(events, item, target)
                if events is not None
                else asked.explain_session(arguments.session_id, item, target)
            )
            if arguments.json:
                print(json.dumps(explanation_json(why)))
            else:
                show_explanation(why)
            return
        if events is not None:
            found = asked.recommend(events, target, k)
        else:
            lists = asked.recommend_session(arguments.session_id, k)
            if target not in lists:
                raise InputError("--target", None, f"the run has no target {target!r}", f"ask for {', '.join(lists)}")
            found = lists[target]
        if arguments.json:
            print(json.dumps(as_json(found)))
        else:
            show(found)

    return guarded(work)


if __name__ == "__main__":
    sys.exit(main())
