"""RecTools' two stages: ``CandidateRankingModel`` over BM25 item kNN (and its SASRec), ranked by LightGBM.

Candidates carry the score and rank of each first-stage model; to these come the features that its collector is made
for: how often and how lately the session saw the item, its length, and the item's popularity in train. The ranker
(LambdaRank) learns on the last events of ``sessions`` train sequences drawn at random, which the first stage does not
see; then the first stage is fitted anew on all.

Settings: ``threads``, ``seed``, ``sessions``, ``candidates`` (of each model), ``negatives`` a session, ``knn`` for
``BM25Recommender``, ``ranker`` for ``LGBMRanker``, ``sasrec`` for ``SASRecModel`` (null: kNN alone).
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from implicit.nearest_neighbours import BM25Recommender
from lightgbm import LGBMRanker
from rectools import Columns
from rectools.dataset import Dataset, Interactions
from rectools.model_selection import Splitter
from rectools.models import ImplicitItemKNNWrapperModel
from rectools.models.ranking import (
    CandidateFeatureCollector,
    CandidateGenerator,
    CandidateRankingModel,
    PerUserNegativeSampler,
    Reranker,
)

from benchmarks.peers.exchange import I32, Rows, answer
from benchmarks.peers.rectools_data import datasets, lists_of
from benchmarks.peers.rectools_sasrec import sasrec


class LastEvents(Splitter):
    """Holds out the last event of some sessions that have ``history`` events before it; all others are history."""

    def __init__(self, sessions: int, seed: int, history: int) -> None:
        super().__init__(filter_already_seen=False)
        self.sessions, self.seed, self.history = sessions, seed, history

    def _split_without_filter(
        self,
        interactions: Interactions,
        collect_fold_stats: bool = False,  # noqa: ARG002  (its signature)
    ) -> Iterator[tuple[np.ndarray, np.ndarray, dict[str, Any]]]:
        users = interactions.df[Columns.User].to_numpy()
        last = np.flatnonzero(np.diff(users, append=-1) != 0)
        last = last[np.diff(last, prepend=-1) > self.history]
        rng = np.random.default_rng(self.seed)
        held_out = np.sort(rng.choice(last, min(self.sessions, last.size), replace=False))
        yield np.delete(np.arange(users.size), held_out), held_out, {}


class Features(CandidateFeatureCollector):
    """What a session and the train sequences say of a candidate."""

    def __init__(self, train: Dataset) -> None:
        self.train = train

    def collect_features(self, useritem: pd.DataFrame, dataset: Dataset, fold_info: Any) -> pd.DataFrame:
        """The candidates with their features; the rows keep their order."""
        seen = dataset.get_raw_interactions()
        length = seen.groupby(Columns.User)[Columns.Item].transform("size")
        seen["age"] = length - seen.groupby(Columns.User).cumcount() - 1
        own = seen.groupby(Columns.UserItem).agg(age=("age", "min"), times=("age", "size")).reset_index()
        found = useritem.merge(own, on=Columns.UserItem, how="left")
        # In training the history alone is counted, at last all of train; never the prefixes.
        counted = dataset if fold_info is not None else self.train
        popularity = counted.get_raw_interactions()[Columns.Item].value_counts()
        found["popularity"] = found[Columns.Item].map(popularity).fillna(0)
        found["length"] = found[Columns.User].map(seen[Columns.User].value_counts()).fillna(0)
        return found


class Grouped(Reranker):
    """A ranker that is told which rows belong to one session."""

    def prepare_fit_kwargs(self, candidates_with_target: pd.DataFrame) -> dict[str, Any]:
        """Rows by session, and the sizes of these groups."""
        by_session = candidates_with_target.sort_values(Columns.User, kind="stable")
        sizes = by_session.groupby(Columns.User, sort=False).size().to_numpy()
        return {**super().prepare_fit_kwargs(by_session), "group": sizes}


def fit(rows: Rows, settings: dict[str, Any]) -> Callable[[], I32]:
    """Fit; what comes back makes the lists."""
    threads, seed, k = settings["threads"], settings["seed"], settings["candidates"]
    train, asked = datasets(rows)
    first = [ImplicitItemKNNWrapperModel(BM25Recommender(**settings["knn"], num_threads=threads))]
    if settings["sasrec"] is not None:
        first.append(sasrec(settings["sasrec"], threads, seed))
    ranker = LGBMRanker(**settings["ranker"], n_jobs=threads, random_state=seed, verbose=-1)
    model = CandidateRankingModel(
        [CandidateGenerator(one, k, keep_ranks=True, keep_scores=True) for one in first],
        LastEvents(settings["sessions"], seed, len(first)),  # SASRec does not know the item of a lone event
        Grouped(ranker),
        PerUserNegativeSampler(settings["negatives"]),
        Features(train),
    )
    np.random.seed(seed)  # noqa: NPY002  (given a seed, the sampler would take the same ranks of every session)
    model.fit(train)

    return lambda: lists_of(model, asked, rows.n_test)


if __name__ == "__main__":
    answer(fit)
