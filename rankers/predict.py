"""Prediction: the one place that knows how a model walks its trees."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from candidates.threads import run_ranges
from rankers.layout import Layout, lay_out
from rankers.trees import read_trees
from rankers.walker import BLOCK, Unsigned, walk

RANGE = 16 * BLOCK
"""Rows that a thread takes at a time."""

Scratch = tuple[npt.NDArray[np.float32], npt.NDArray[np.uint32], Unsigned, Unsigned]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Predictor:
    """Several models of the same features, whose raw scores are LightGBM's to the last bit.

    texts  : LightGBM's model texts
    layout : what the walker walks; ``None`` where LightGBM has to do it
    reason : why it has to
    """

    texts: tuple[str, ...]
    layout: Layout | None
    reason: str
    _boosters: list[Any] = field(default_factory=list, repr=False, compare=False)

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Predictor":
        """Read the models, at least one."""
        try:
            return cls(tuple(texts), lay_out([read_trees(text) for text in texts]), "")
        except ValueError as error:
            log.info("LightGBM walks the trees itself: %s", error)
            return cls(tuple(texts), None, str(error))

    def scores(
        self,
        features: npt.NDArray[np.float32],
        num_threads: int = 0,
        out: npt.NDArray[np.float64] | None = None,
    ) -> npt.NDArray[np.float64]:
        """float64[M, R] raw scores by each model of float32[R, F] (C-contiguous) features; a row's depend on it alone.

        num_threads : 0 for every core; no score depends on it
        out         : where to write them

        Raises
        ------
        ValueError
            If the features are not float32, or not as many as the models know.
        """
        rows = features.shape[0]
        out = np.empty((len(self.texts), rows), np.float64) if out is None else out
        if self.layout is None:
            return self._by_lightgbm(features, num_threads, out)
        layout = self.layout
        if features.dtype != np.float32 or features.shape[1] != layout.features:
            raise ValueError(f"{features.dtype}[R, {features.shape[1]}], not float32[R, {layout.features}]")
        columns = layout.columns.nan.size + layout.sets.feature.size

        def scratch() -> Scratch:
            codes, bits = np.empty((columns, BLOCK), layout.nodes.rank.dtype), np.empty(BLOCK, layout.nodes.mask.dtype)
            return np.empty(BLOCK, np.float32), np.empty(BLOCK, np.uint32), codes, bits

        def work(held: Scratch, start: int, stop: int) -> None:
            walk(features, start, stop, layout.columns, layout.sets, layout.nodes, *held, out)

        threads = num_threads or len(os.sched_getaffinity(0))
        run_ranges(work, np.append(np.arange(0, rows, RANGE), rows), threads, scratch)
        return out

    def _by_lightgbm(
        self, features: npt.NDArray[np.float32], num_threads: int, out: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        if not self._boosters:
            import lightgbm as lgb

            self._boosters.extend(lgb.Booster(model_str=text) for text in self.texts)
        if features.shape[0] > 0:
            for booster, scores in zip(self._boosters, out, strict=True):
                scores[:] = booster.predict(features, raw_score=True, num_threads=num_threads)
        return out
