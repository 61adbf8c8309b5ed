"""SASRec and GRU4Rec keep the contract."""

from typing import Any

from models.gru4rec import GRU4Rec
from models.sasrec import SASRec
from models.training_settings import GRU4RecSettings, NegativeSettings, SASRecSettings, TrainingSettings
from tests.models.contract import RetrieverContract


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
