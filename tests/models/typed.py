"""A retriever with a session vector and revisits of its own for each target, for tests of what uses retrievers."""

import numpy as np

from events.columns import TARGETS
from events.log import SessionLog
from models.svd import Svd
from models.svd_settings import SvdSettings


class TypedSvd(Svd):
    """The truncated SVD; a target flips some dimensions, and an event adds more the farther the target."""

    def __init__(self, name: str = "typed", options: object = None) -> None:
        super().__init__(name, SvdSettings(dim=6))
        self.targets = TARGETS

    def session_vectors(self, log: SessionLog, target: str | None = None) -> np.ndarray:
        vectors = super().session_vectors(log).copy()
        vectors[:, : TARGETS.index(str(target))] *= -1
        return vectors

    def revisits(self, log: SessionLog, target: str | None = None) -> np.ndarray:
        return (0.1 * TARGETS.index(str(target)) * (1 + log.type_codes())).astype(np.float32)
