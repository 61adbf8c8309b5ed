"""LambdaRank per target: folds, negative sampling, training, prediction, blending; and a run to be asked."""

import os
from typing import TYPE_CHECKING, Any

# Idle threads of OpenMP spin by default, which slows LightGBM several times beside any other busy process. The policy
# is read once, when the first library with OpenMP is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

if TYPE_CHECKING:
    from rankers.recommender import Recommender as Recommender

__all__ = ["Recommender"]


def __getattr__(name: str) -> Any:
    """``Recommender``, imported when it is asked for: whoever wants the settings alone need not wait for it."""
    if name == "Recommender":
        from rankers.recommender import Recommender

        return Recommender
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
