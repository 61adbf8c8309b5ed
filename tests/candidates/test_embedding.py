"""Embeddings as sources: the contract, what they are handed, columns, and what is left out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from candidates.embedding import Embedding
from candidates.pool import Arena
from candidates.settings import CandidatesSettings, HistorySettings, RetrieverSourceSettings, with_retrievers
from candidates.source import Source
from candidates.source_set import SourceSet
from events.errors import InputError
from events.log import SessionLog
from models.exact import recommend_exactly
from models.index_settings import IndexSettings
from models.searcher import Searcher
from models.settings import ModelsSettings
from models.svd import Svd
from models.svd_settings import SvdSettings
from tests.candidates.contract import SourceContract, assert_equal
from tests.models.typed import TypedSvd

SMALL = SvdSettings(dim=8)
MODELS = ModelsSettings.model_validate(
    {
        "defaults": False,
        "retrievers": {
            "svd": SMALL,
            "typed": {"kind": "custom", "retriever": "tests.models.typed:TypedSvd", "k": 5},
            "off": SMALL.model_copy(update={"on": False}),
            "quiet": SMALL.model_copy(update={"k": 0}),
        },
    }
)
HISTORY = CandidatesSettings(defaults=False, sources={"history": HistorySettings()})


@pytest.fixture(scope="session")
def searchers(big_log: SessionLog) -> dict[str, Searcher]:
    """The one by a scan, the other by an inverted file."""
    many = IndexSettings(exact_up_to=0, recall=0.9)
    return {
        "svd": Searcher.build(Svd("svd", SMALL).fit(big_log), big_log, 40),
        "typed": Searcher.build(TypedSvd().fit(big_log), big_log, 40, many),
    }


class TestEmbedding(SourceContract):
    @pytest.fixture
    def make(self, searchers: dict[str, Searcher]) -> Callable[[], Source]:
        return lambda: Embedding("svd", RetrieverSourceSettings(retriever="svd"), searchers["svd"])


class TestEmbeddingWithTargets(SourceContract):
    @pytest.fixture
    def make(self, searchers: dict[str, Searcher]) -> Callable[[], Source]:
        assert not searchers["typed"].is_exact
        return lambda: Embedding("typed", RetrieverSourceSettings(retriever="typed"), searchers["typed"])


def test_an_exact_index_gives_the_exact_list(searchers: dict[str, Searcher], big_log: SessionLog) -> None:
    source = Embedding("svd", RetrieverSourceSettings(retriever="svd"), searchers["svd"])
    log = big_log.slice(0, 100)
    expected = recommend_exactly(searchers["svd"].retriever, log, 10)
    found = source.recommend(log, 10)
    assert (found.aids == expected.aids).mean() > 0.99  # those round otherwise
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)


def test_another_log_is_refused(searchers: dict[str, Searcher]) -> None:
    source = Embedding("svd", RetrieverSourceSettings(retriever="svd"), searchers["svd"])
    with pytest.raises(ValueError, match="200 items, the log 3"):
        source.fit(SessionLog.of([[0]], n_items=3))


def test_each_retriever_that_is_on_is_a_source(searchers: dict[str, Searcher], big_log: SessionLog) -> None:
    sources = SourceSet.of(HISTORY, big_log.has, models=MODELS).fit(big_log, {}, searchers)
    assert list(sources.columns) == ["history", "svd", "typed_clicks", "typed_carts", "typed_orders"]
    assert sources.left_out == {}
    lists = sources.lists(big_log.slice(0, 50))
    assert (lists["svd"].lengths.max(), lists["typed_carts"].lengths.max()) == (40, 5)
    assert not np.array_equal(lists["typed_carts"].aids, lists["typed_clicks"].aids)


def test_sessions_are_encoded_once_a_chunk_and_handed_on(
    searchers: dict[str, Searcher], big_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []
    encode = Searcher.encode
    monkeypatch.setattr(Searcher, "encode", lambda self, log: calls.append(len(log)) or encode(self, log))
    one = SourceSet.of(HISTORY, big_log.has, models=MODELS).fit(big_log, {}, searchers)
    two = SourceSet.of(HISTORY, big_log.has, threads=2, models=MODELS).fit(big_log, {}, searchers)
    whole, cut = one.pool(big_log, Arena()), two.pool(big_log, Arena())
    assert calls == [len(big_log)] * 4
    np.testing.assert_array_equal(whole.aids, cut.aids)
    np.testing.assert_array_equal(whole.scores, cut.scores)
    assert list(whole.encoded) == ["svd", "typed"]
    expected = searchers["typed"].retriever.session_vectors(big_log, "orders")
    np.testing.assert_array_equal(whole.encoded["typed"].vectors["orders"], expected)


def test_retrievers_are_not_saved_with_the_sources(
    searchers: dict[str, Searcher], big_log: SessionLog, tmp_path: Path
) -> None:
    """The stage that fits sources knows no retriever; what it saved opens with any."""
    SourceSet.of(HISTORY, big_log.has, models=MODELS).fit(big_log, {}).save(tmp_path)
    loaded = SourceSet.of(HISTORY, big_log.has, models=MODELS).load(tmp_path, {}, searchers)
    fitted = SourceSet.of(HISTORY, big_log.has, models=MODELS).fit(big_log, {}, searchers)
    log = big_log.slice(0, 100)
    for name, lists in fitted.lists(log).items():
        assert_equal(loaded.lists(log)[name], lists)


def test_a_searcher_survives_the_disk(searchers: dict[str, Searcher], big_log: SessionLog, tmp_path: Path) -> None:
    fresh = {"svd": Svd("svd", SMALL), "typed": TypedSvd()}
    log = big_log.slice(0, 200)
    for name, searcher in searchers.items():
        (tmp_path / name).mkdir()
        searcher.save(tmp_path / name)
        loaded = Searcher.load(tmp_path / name, fresh[name])
        assert loaded.recall == searcher.recall >= 0.9
        for target in searcher.indices:
            assert_equal(
                loaded.search(log, loaded.encode(log), 10, target),
                searcher.search(log, searcher.encode(log), 10, target),
            )
    assert len(list((tmp_path / "typed").glob("index_*"))) == 1  # the targets share their item vectors
    with pytest.raises(InputError, match="shape"):
        Searcher.load(tmp_path / "svd", Svd("svd", SvdSettings(dim=5)))


def test_a_source_without_its_retriever_is_left_out_and_said(big_log: SessionLog) -> None:
    given = CandidatesSettings(
        defaults=False,
        sources={
            "near": RetrieverSourceSettings(retriever="off"),
            "deep": RetrieverSourceSettings(retriever="svd", k=100),
        },
    )
    sources = SourceSet.of(given, big_log.has, models=MODELS)
    assert sources.left_out == {"near": "there is no retriever off, because it is off"}
    assert list(sources.settings.sources) == ["near", "deep", "typed"]
    assert SourceSet.of(given, big_log.has).left_out["deep"] == "there is no retriever svd, because there are none"


def test_names_must_fit() -> None:
    unknown = CandidatesSettings(defaults=False, sources={"near": RetrieverSourceSettings(retriever="nobody")})
    with pytest.raises(ValueError, match="nobody"):
        with_retrievers(unknown, MODELS)
    taken = CandidatesSettings(defaults=False, sources={"svd": HistorySettings()})
    with pytest.raises(ValueError, match="name of a source"):
        with_retrievers(taken, MODELS)
    column = CandidatesSettings(defaults=False, sources={"typed_carts": HistorySettings()})
    with pytest.raises(ValueError, match="name of a column"):
        with_retrievers(column, MODELS)
