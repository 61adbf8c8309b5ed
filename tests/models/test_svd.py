"""The truncated SVD keeps the contract, and finds what numpy finds."""

import numpy as np

from events.log import SessionLog
from models import svd as module
from models.retriever import Retriever
from models.svd import Svd
from models.svd_settings import SvdSettings
from tests.models.contract import RetrieverContract
from tests.models.worlds import chain_log

SMALL = SvdSettings(dim=20, iterations=10)


class TestSvd(RetrieverContract):
    @staticmethod
    def make(seed: int) -> Retriever:
        return Svd("svd", SMALL, seed)


def dense(log: SessionLog, power: float) -> np.ndarray:
    found = np.zeros((len(log), log.n_items))
    found[log.owner(), log.aids] = 1
    return found / np.maximum(found.sum(axis=0), 1) ** power


def test_the_vectors_span_what_numpy_finds(monkeypatch) -> None:
    log = chain_log(400, seed=5)
    settings = SvdSettings(dim=6, iterations=100)
    vectors = Svd("svd", settings).fit(log).item_vectors()
    _, _, right = np.linalg.svd(dense(log, settings.popularity_power), full_matrices=False)
    np.testing.assert_allclose(vectors @ vectors.T, right[:6].T @ right[:6], atol=1e-4)
    monkeypatch.setattr(module, "SESSIONS_AT_ONCE", 37)
    again = Svd("svd", settings).fit(log).item_vectors()
    np.testing.assert_allclose(again @ again.T, vectors @ vectors.T, atol=1e-4)


def test_a_session_is_the_weighted_sum_of_its_last_items() -> None:
    log = chain_log(400, seed=5)
    settings = SvdSettings(dim=6, tail=3, decay=0.5)
    fitted = Svd("svd", settings).fit(log)
    vectors, sessions = fitted.item_vectors(), fitted.session_vectors(log)
    for s in range(20):
        tail = log.aids[log.offsets[s] : log.offsets[s + 1]][::-1][:3]
        np.testing.assert_allclose(sessions[s], (0.5 ** np.arange(tail.size)) @ vectors[tail], atol=1e-6)


def test_fewer_items_than_dimensions() -> None:
    log = SessionLog.of([[0, 1], [1, 2]], n_items=3)
    vectors = Svd("svd", SvdSettings(dim=8)).fit(log).item_vectors()
    assert vectors.shape == (3, 8)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(3), atol=1e-6)
