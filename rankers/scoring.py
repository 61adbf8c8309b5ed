"""From sessions to top-20 lists: sources, pool, features, prediction and choice, chunk by chunk in one arena.

The same function serves the folds, a submission and a single recommendation.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from candidates.pool import Arena, Candidates
from events.errors import InputError
from events.lists import Lists
from events.log import SessionLog
from rankers.folds import half_of
from rankers.models import INDEX, Fit, Rankers
from rankers.standard import add_standard, describe, stacked_names
from rankers.topk import reciprocal_rank_scores, top_lists


class PoolBuilder(Protocol):
    """Proposes candidates for sessions."""

    def pool(self, log: SessionLog, arena: Arena) -> Candidates:
        """Candidates of the S sessions, in the arena's buffers."""
        ...


class FeatureBuilder(Protocol):
    """Describes candidates."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the F features."""
        ...

    def build(self, log: SessionLog, candidates: Candidates, arena: Arena) -> npt.NDArray[np.float32]:
        """float32[R, F] C-contiguous, in the arena's buffers."""
        ...


OnPool = Callable[[int, SessionLog, Candidates], None]
"""Called with the row of a chunk's first session, the chunk and its candidates, which are valid during the call."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """Everything that turns sessions into lists; the arena is reused, so that one thread at a time may score.

    Raises
    ------
    InputError
        If the features are not those that the rankers were trained on.
    """

    sources: PoolBuilder
    features: FeatureBuilder
    rankers: Rankers
    arena: Arena = field(default_factory=Arena)
    top: int = 20
    num_threads: int = 0

    def __post_init__(self) -> None:
        if tuple(self.features.names) != self.rankers.features:
            differ = sorted(set(self.features.names) ^ set(self.rankers.features))
            raise InputError(
                INDEX, None, f"trained on other features ({', '.join(differ) or 'another order'})", "train again"
            )


def score_sessions(
    log: SessionLog, scorer: Scorer, folds: npt.NDArray[np.int64] | None = None, on_pool: OnPool | None = None
) -> dict[str, Lists]:
    """The top lists of S sessions for every target.

    folds : int64[S] the fold of each session (``folds.fold_of``): it is scored by the model that was not trained on
            that fold. ``None``: by the models for sessions that no model knows (one refit, or the mean of the folds).

    A target or fold without a model is ranked by the reciprocal ranks of the sources.

    Raises
    ------
    ValueError
        If a session's fold is ``TRAINED_ON``: every model has seen it.
    """
    if folds is not None and (folds < 0).any():
        raise ValueError("a session that every model was trained on cannot be scored out of fold")
    candidates = scorer.sources.pool(log, scorer.arena)
    if on_pool is not None:
        on_pool(0, log, candidates)
    features = scorer.features.build(log, candidates, scorer.arena)
    lists = {}
    scores = {
        target: scorer.arena.take(f"ranker_{target}", (len(candidates),), np.float32)
        for target in scorer.rankers.targets
    }
    if folds is None:
        fits = {target: scorer.rankers.for_others(target) for target in scores}
        means = _means(scorer, fits, Block(features, candidates.offsets, log.groups))
        for target, out in scores.items():
            out[:] = means[target] if target in means else reciprocal_rank_scores(candidates, target)
    else:
        _score_out_of_fold(scorer, candidates, Block(features, candidates.offsets, log.groups), folds, scores)
    for target, out in scores.items():
        lists[target] = top_lists(candidates, out, scorer.top)
    return lists


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of whole sessions: float32[R, F] features, int64[S+1] offsets, int64[S] groups."""

    features: npt.NDArray[np.float32]
    offsets: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]


def _score_out_of_fold(
    scorer: Scorer,
    candidates: Candidates,
    block: Block,
    folds: npt.NDArray[np.int64],
    scores: dict[str, npt.NDArray[np.float32]],
) -> None:
    lengths = np.diff(block.offsets)
    row_folds = np.repeat(folds, lengths)
    for fold in np.unique(folds).tolist():
        rows, part = np.flatnonzero(row_folds == fold), block
        if rows.size < block.features.shape[0]:
            features = scorer.arena.take("ranker_fold", (rows.size, block.features.shape[1]), np.float32)
            # "clip" writes to out directly; "raise" buffers
            np.take(block.features, rows, axis=0, out=features, mode="clip")
            offsets = np.cumsum([0, *lengths[folds == fold]]).astype(np.int64)
            part = Block(features, offsets, block.groups[folds == fold])
        means = _means(scorer, {target: scorer.rankers.of_fold(target, fold) for target in scores}, part)
        for target, out in scores.items():
            out[rows] = means[target] if target in means else reciprocal_rank_scores(candidates, target)[rows]


def _means(scorer: Scorer, fits: Mapping[str, list[Fit]], block: Block) -> dict[str, npt.NDArray[np.float64]]:
    """Mean of the scores of each target's models, added in their order; all models share one pass.

    Raw scores of folds have one scale. Those of several seeds, or of a target's own model and that of every target,
    are first standardised within the session.
    """
    rows = _raw(scorer, list({fit.name: fit for of_target in fits.values() for fit in of_target}.values()), block)
    means: dict[str, npt.NDArray[np.float64]] = {}
    made: dict[tuple[str, ...], npt.NDArray[np.float64]] = {}
    for target, of_target in fits.items():
        names = tuple(fit.name for fit in of_target)
        if names and names not in made:
            if len({(fit.target, fit.seed) for fit in of_target}) == 1:
                total = rows[names[0]]
                for name in names[1:]:
                    total += rows[name]
            else:
                total = scorer.arena.take(f"ranker_blend_{target}", (block.features.shape[0],), np.float64)
                total[:] = 0.0
                for name in names:
                    add_standard(block.offsets, rows[name], total)
            total /= len(names)
            made[names] = total
        if names:
            means[target] = made[names]
    return means


def _raw(scorer: Scorer, fits: list[Fit], block: Block) -> dict[str, npt.NDArray[np.float64]]:
    """The raw scores of the block's rows by each of these models, by its name."""
    if not fits:
        return {}
    rankers, threads = scorer.rankers, scorer.num_threads
    raw = scorer.arena.take("ranker_raw", (len(fits), block.features.shape[0]), np.float64)
    if not rankers.stacked:
        rankers.predictor(fits).scores(block.features, threads, raw)
        return {fit.name: row for fit, row in zip(fits, raw, strict=True)}
    fits, start = sorted(fits, key=lambda fit: fit.fold), 0
    for fold in dict.fromkeys(fit.fold for fit in fits):
        part = [fit for fit in fits if fit.fold == fold]
        features = with_first_level(scorer, fold, block)
        rankers.predictor(part).scores(features, threads, raw[start : start + len(part)])
        start += len(part)
    return {fit.name: row for fit, row in zip(fits, raw, strict=True)}


def with_first_level(scorer: Scorer, fold: int, block: Block) -> npt.NDArray[np.float32]:
    """float32[R, F+2T] features, and what the first-level models say that a fold's final models were trained with."""
    rankers = scorer.rankers
    first = rankers.first_level(fold)
    rows, width = block.features.shape
    scores: dict[tuple[str, int], npt.NDArray[np.float64]] = {}
    if first:
        raw = scorer.arena.take("ranker_first", (len(first), rows), np.float64)
        rankers.predictor(first).scores(block.features, scorer.num_threads, raw)
        scores = {(fit.target, fit.half or 0): row for fit, row in zip(first, raw, strict=True)}
    out = scorer.arena.take("ranker_stacked", (rows, width + len(stacked_names(rankers.stacked))), np.float32)
    out[:, :width] = block.features
    describe(scores, rankers.stacked, block.offsets, half_of(block.groups, rankers.seed), out[:, width:])
    return out


def chunks(n_sessions: int, chunk_sessions: int, desc: str, progress: bool | None = None) -> Iterator[tuple[int, int]]:
    """First and last + 1 of each chunk of sessions, under a progress bar that counts sessions.

    progress : ``None`` shows the bar on a terminal only
    """
    disable = None if progress is None else not progress
    with tqdm(total=n_sessions, desc=desc, unit="session", unit_scale=True, disable=disable) as bar:
        for start in range(0, n_sessions, chunk_sessions):
            stop = min(start + chunk_sessions, n_sessions)
            yield start, stop
            bar.update(stop - start)


def score_log(
    log: SessionLog,
    scorer: Scorer,
    folds: npt.NDArray[np.int64] | None = None,
    chunk_sessions: int = 8_192,
    progress: bool | None = None,
    on_pool: OnPool | None = None,
    desc: str = "scoring",
) -> dict[str, Lists]:
    """:func:`score_sessions` for a whole log; the result does not depend on ``chunk_sessions``."""
    parts: dict[str, list[Lists]] = {target: [] for target in scorer.rankers.targets}
    for start, stop in chunks(len(log), chunk_sessions, desc, progress):
        chunk_folds = None if folds is None else folds[start:stop]
        shifted = None if on_pool is None else _shifted(on_pool, start)
        for target, lists in score_sessions(log.slice(start, stop), scorer, chunk_folds, shifted).items():
            parts[target].append(lists)
    return {target: Lists.concat(lists) for target, lists in parts.items()}


def _shifted(on_pool: OnPool, start: int) -> OnPool:
    return lambda first, log, candidates: on_pool(start + first, log, candidates)
