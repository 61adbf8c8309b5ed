"""What each feature adds to an item's score: TreeSHAP as LightGBM computes it, of the models that rank a target."""

from collections.abc import Sequence

import numpy as np

from candidates.pool import Candidates
from events.arrays import F32, F64
from events.log import SessionLog
from rankers.models import Fit
from rankers.scoring import Block, Scorer, with_first_level


def contributions(
    scorer: Scorer, log: SessionLog, candidates: Candidates, fits: Sequence[Fit], row: int
) -> tuple[F32, F64]:
    """float32[G] values of one candidate's features, and float64[G+1] what each adds to the score, last the base.

    candidates : the pool of the sessions of ``log``, in the scorer's arena
    fits       : models, at least one; the mean over them is returned. With first-level models G counts their columns,
                 whose values are those that the last model sees.
    row        : of the candidate in the pool
    """
    rankers = scorer.rankers
    features = scorer.features.build(log, candidates, scorer.arena)
    block = Block(features, candidates.offsets, log.groups)
    values, total = features[row : row + 1], np.zeros(0, np.float64)
    for fit in fits:
        if rankers.stacked:
            values = with_first_level(scorer, fit.fold, block)[row : row + 1]
        # One row is not worth a second thread.
        found = rankers.booster(fit).predict(np.ascontiguousarray(values), pred_contrib=True, num_threads=1)[0]
        total = found if total.size == 0 else total + found
    return values[0].copy(), total / len(fits)
