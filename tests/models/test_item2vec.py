"""Item2vec against the shared contract and a slow twin of its step."""

from models.item2vec import Item2Vec
from models.item2vec_settings import Item2VecSettings
from tests.models.contract import RetrieverContract


class TestItem2Vec(RetrieverContract):
    @staticmethod
    def make(seed: int) -> Item2Vec:
        return Item2Vec(settings=Item2VecSettings(d=16, epochs=10), seed=seed, progress=False)
