"""Embeddings: the items whose vectors lie nearest to the session's, of a retriever that was fitted elsewhere."""

from pathlib import Path
from typing import Self

from candidates.settings import RetrieverSourceSettings
from events.lists import Lists
from events.log import SessionLog
from models.searcher import Encoded, Searcher


class Embedding:
    """Items by the inner product of their vector and the session's, and what the session's own events add.

    Needs what its retriever needs, and has the retriever's targets. The retriever and its indices are handed in, and
    neither fitted nor saved again; so are the session vectors, where they are needed more than once.
    """

    def __init__(self, name: str, settings: RetrieverSourceSettings, searcher: Searcher) -> None:
        self.name = name
        self.settings = settings
        self.searcher = searcher
        self.targets = searcher.retriever.targets
        self.needs = searcher.retriever.needs

    def fit(self, log: SessionLog) -> Self:
        """Check that the retriever's items are those of this log."""
        if self.searcher.retriever.known.size != log.n_items:
            raise ValueError(
                f"{self.name}: the retriever has {self.searcher.retriever.known.size} items, the log {log.n_items}"
            )
        return self

    def recommend(self, log: SessionLog, k: int, target: str | None = None) -> Lists:
        """The ``k`` nearest items of each session."""
        return self.recommend_encoded(log, self.searcher.encode(log), k, target)

    def recommend_encoded(self, log: SessionLog, encoded: Encoded, k: int, target: str | None = None) -> Lists:
        """The same, of sessions that are encoded already."""
        return self.searcher.search(log, encoded, k, target)

    def save(self, folder: Path) -> None:
        """Nothing of its own to write."""

    def load(self, folder: Path) -> Self:  # noqa: ARG002
        """Nothing of its own to open."""
        return self
