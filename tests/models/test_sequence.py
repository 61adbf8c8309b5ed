"""SASRec and GRU4Rec keep the contract."""

from typing import Any

import numpy as np

from models.gru4rec import GRU4Rec
from models.sasrec import SASRec
from models.training_settings import GRU4RecSettings, NegativeSettings, SASRecSettings, TrainingSettings
from tests.models.contract import RetrieverContract
from tests.models.worlds import chain_log


def quick(seed: int, **changes: Any) -> dict[str, Any]:
    """Settings of a small model that trains in about a second."""
    training = TrainingSettings(
        epochs=8, batch_tokens=512, learning_rate=5e-3, item_learning_rate=0.05, seed=seed, threads=1, device="cpu"
    )
    negatives = NegativeSettings(uniform=40)
    return {"dim": 32, "length": 10, "training": training, "negatives": negatives, "horizon": 1, **changes}


class TestSASRec(RetrieverContract):
    @staticmethod
    def make(seed: int) -> SASRec:
        return SASRec("sasrec", SASRecSettings(**quick(seed)))


class TestGRU4Rec(RetrieverContract):
    @staticmethod
    def make(seed: int) -> GRU4Rec:
        return GRU4Rec("gru4rec", GRU4RecSettings(**quick(seed, copying=True)))


def test_the_last_sessions_will_do():
    log = chain_log(200, seed=5)
    settings = GRU4RecSettings(**quick(3))
    few = settings.model_copy(update={"training": settings.training.model_copy(update={"sessions": 30})})
    model, alone = GRU4Rec("a", few).fit(log), GRU4Rec("a", settings).fit(log.slice(170, 200))
    np.testing.assert_array_equal(model.known, np.isin(np.arange(log.n_items), log.slice(170, 200).aids))
    np.testing.assert_array_equal(model.session_vectors(log), alone.session_vectors(log))
