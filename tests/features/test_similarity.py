"""From sources to similarity features with a real retriever: sessions are encoded once, chunks change nothing."""

import numpy as np
import pytest

from candidates.pool import Arena
from candidates.settings import CandidatesSettings, HistorySettings
from candidates.source_set import SourceSet
from features.assemble import FeatureBuilder
from features.items import fit_items
from features.settings import FeaturesSettings
from features.similarity import write_places, write_zscores
from models.searcher import Searcher
from models.settings import ModelsSettings
from tests.candidates.conftest import random_log
from tests.models.typed import TypedSvd

MODELS = ModelsSettings.model_validate(
    {"defaults": False, "retrievers": {"typed": {"kind": "custom", "retriever": "tests.models.typed:TypedSvd", "k": 9}}}
)
ONLY = FeaturesSettings(groups=("sources", "similarity"))


def test_a_chunk_is_encoded_once_and_its_size_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    log = random_log(2_500, 100, seed=8)
    searchers = {"typed": Searcher.build(TypedSvd().fit(log), log, 9)}
    calls: list[str | None] = []
    vectors = TypedSvd.session_vectors

    def noted(self, log, target=None):
        calls.append(target)
        return vectors(self, log, target)

    monkeypatch.setattr(TypedSvd, "session_vectors", noted)
    given = CandidatesSettings(defaults=False, sources={"history": HistorySettings()})

    def features(chunk: int, threads: int) -> tuple[tuple[str, ...], np.ndarray]:
        sources = SourceSet.of(given, log.has, threads, models=MODELS).fit(log, {}, searchers)
        columns = tuple(sources.columns)
        items = fit_items(log, ONLY)
        builder = FeatureBuilder(ONLY, log.has, columns, items, {}, threads, sources.searchers)
        arena, parts = Arena(), []
        for start in range(0, len(log), chunk):
            part = log.slice(start, min(start + chunk, len(log)))
            parts.append(builder.build(part, sources.pool(part, arena), arena).copy())
        return builder.names, np.concatenate(parts)

    names, whole = features(len(log), 1)
    assert sorted(map(str, calls)) == ["carts", "clicks", "orders"]
    assert [name for name in names if name.startswith("similarity")] == [
        *(
            f"similarity_typed_{target}_{kind}"
            for target in ("clicks", "carts", "orders")
            for kind in ("zscore", "place")
        ),
        *(f"similarity_typed_{kind}" for kind in ("last", "mean", "max")),
    ]
    for chunk, threads in ((2_100, 2), (301, 3)):
        np.testing.assert_array_equal(features(chunk, threads)[1], whole)
    # What the retriever likes best stands first in its list and among all candidates.
    first = whole[:, names.index("rank_typed_clicks")] == 0
    assert (whole[first, names.index("similarity_typed_clicks_place")] == 0).all()


def test_equal_scores_share_a_place_and_have_no_deviation() -> None:
    values = np.array([0.1, np.nan, -0.0, 0.0, -3.0, 0.1], np.float32)
    out = np.zeros((6, 2), np.float32)
    write_places(values, np.empty(6, np.int64), out, 0, 0)
    np.testing.assert_array_equal(out[:, 0], np.array([0, np.nan, 0.4, 0.4, 0.8, 0], np.float32))
    write_zscores(np.full(6, 0.1, np.float32), out, 0, 1)
    assert (out[:, 1] == 0).all()
    write_zscores(np.full(6, np.nan, np.float32), out, 0, 1)
    assert np.isnan(out[:, 1]).all()
