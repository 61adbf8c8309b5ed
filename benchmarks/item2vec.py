"""Item2vec against gensim's word2vec: ``python -m benchmarks.item2vec [--events 1e6] [--log FOLDER]``.

One epoch on two threads, on one, and by gensim, at the same vector length, window, number of negatives and noise;
symmetric, as gensim is (where it is installed; its vocabulary is built before). Last, ours as it is committed, with the
recall of the next item in sessions that were held out.
"""

import sys
from importlib import import_module
from importlib.util import find_spec

import numpy as np

from benchmarks.covisitation import read
from benchmarks.harness import Contender, Cost, events_parser, measure, show
from events.log import SessionLog
from models.exact import next_item_rows, rank_hits
from models.item2vec import Item2Vec
from models.item2vec_settings import Item2VecSettings

HELD_OUT = 500
"""Sessions, spread over the log, whose every position is asked about."""
SYMMETRIC = Item2VecSettings(epochs=1, backward=1.0)


def ours_set_up(folder: str | None, events: int, threads: int) -> tuple[SessionLog, int]:
    """The log, with kernels compiled."""
    log = read(folder, events)
    Item2Vec(settings=SYMMETRIC, threads=threads, progress=False).fit(log.slice(0, 100))
    return log, threads


def ours(held: tuple[SessionLog, int]) -> int:
    """One epoch."""
    log, threads = held
    Item2Vec(settings=SYMMETRIC, threads=threads, progress=False).fit(log)
    return log.n_events


def committed(held: tuple[SessionLog, int]) -> tuple[int, float | None, float]:
    """All epochs of the committed settings without the held-out sessions; their number, Recall@20 and MRR@20."""
    log, threads = held
    out = np.unique(np.linspace(0, len(log) - 1, HELD_OUT).astype(np.int64))
    model = Item2Vec(threads=threads, progress=False).fit(log.take(np.setdiff1d(np.arange(len(log)), out)))
    hits = rank_hits(model, *next_item_rows(log, out), 20)
    epochs = Item2VecSettings().epochs_of(log.n_events, log.n_items)
    return epochs, hits.recall, float((1.0 / hits.ranks[hits.ranks > 0]).sum() / len(hits))


def gensim_set_up(folder: str | None, events: int):  # type: ignore[no-untyped-def]
    """A model with its vocabulary, and the sessions as lists of words."""
    log = read(folder, events)
    words = np.array([str(aid) for aid in range(log.n_items)], object)
    rows = [words[log.aids[a:b]].tolist() for a, b in zip(log.offsets[:-1], log.offsets[1:], strict=True)]
    model = import_module("gensim.models").Word2Vec(
        sg=1, vector_size=SYMMETRIC.d, window=SYMMETRIC.window, negative=int(SYMMETRIC.negatives), sample=0,
        ns_exponent=SYMMETRIC.negative_power, min_count=1, workers=2,
    )  # fmt: skip
    model.build_vocab(rows)
    return model, rows


def gensim(held) -> None:  # type: ignore[no-untyped-def]
    """One epoch."""
    model, rows = held
    model.train(rows, total_examples=model.corpus_count, epochs=1)


def main(argv: list[str] | None = None) -> int:
    """Run the contenders one after the other."""
    parser = events_parser(__doc__ or "", 1_000_000)
    parser.add_argument("--log", help="folder of a saved log, whose first sessions are taken")
    asked = parser.parse_args(argv)
    log = (asked.log, int(asked.events))
    mine, events = measure(Contender(ours_set_up, ours, (*log, 2)))
    others: dict[str, Cost] = {"one thread": measure(Contender(ours_set_up, ours, (*log, 1)))[0]}
    if find_spec("gensim"):
        others["gensim"] = measure(Contender(gensim_set_up, gensim, log))[0]
    rates = {name: round(events / cost.wall_s) for name, cost in {"two threads": mine, **others}.items()}
    others["committed settings"], (epochs, recall, mrr) = measure(Contender(ours_set_up, committed, (*log, 2)))
    learned = {"epochs": epochs, "recall@20": recall, "mrr@20": mrr}
    show("item2vec", events, mine, others, tokens_per_s=rates, **learned)
    return 0


if __name__ == "__main__":
    sys.exit(main())
