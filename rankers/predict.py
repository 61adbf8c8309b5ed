"""Prediction: the one place that knows how a model walks its trees."""

from typing import Any

import numpy as np
import numpy.typing as npt


def predict(booster: Any, features: npt.NDArray[np.float32], num_threads: int = 0) -> npt.NDArray[np.float64]:
    """float64[R] raw scores of float32[R, F] (C-contiguous) features; a row's score depends on that row alone."""
    if features.shape[0] == 0:
        return np.zeros(0, np.float64)
    scores: npt.NDArray[np.float64] = booster.predict(features, raw_score=True, num_threads=num_threads)
    return scores
