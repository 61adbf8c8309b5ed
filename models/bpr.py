"""BPR: factors learnt from triples of a session, an item that followed and one that did not.

Source: Rendle, Freudenthaler, Gantner, Schmidt-Thieme: BPR, Bayesian personalized ranking from implicit feedback (UAI
2009). A step ascends ln sigmoid(x_s·(v_i - v_j)) for a positive i and a negative j.

An unseen session, and a fitted one alike, is x_s = Σ w_k p_k / Σ w_k over its last events k with items of the fit, w
the weight of the event's type, halved every ``half_life`` events: nothing is learnt for a session by itself.

Differences to the paper: sessions are weighted means of input factors p of their items (asymmetric: Koren, KDD 2008;
Kabbur et al., FISM, KDD 2013) in place of factors of their own, as asked sessions are always new; a positive is an
event drawn by the weight of its type, and x_s is made of the events before it, so that order counts; negatives are
drawn by tempered popularity, not evenly; item biases are the last number of v (that of x_s is 1); steps are row-wise
Adagrad on the sum of a batch, for which all samples see the same factors.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import numpy as np
from tqdm import tqdm

from events.arrays import F32, F64, I32, I64, Flags
from events.compiled import inline, kernel
from events.errors import InputError
from events.files import need_array, save_arrays
from events.log import SessionLog
from events.randomness import below, mix, uniform
from models.compact import KnownItems
from models.factor_settings import BprSettings
from models.session_items import fading, fading_revisits, mean_of_events, mean_sessions, weigh_events

TRIES = 16
"""Draws of a positive, and of each negative, before a sample goes without."""

INITIAL = 0.1
"""Standard deviation of the first factors, times √d."""


class Bpr:
    """Retriever of asymmetric BPR; one set of vectors serves all targets; needs nothing, uses types.

    Kernels of the fit run on ``threads`` threads; the result is the same for any number of them.
    """

    def __init__(
        self, name: str = "bpr", settings: BprSettings | None = None, threads: int = 1, progress: bool = False
    ) -> None:
        self.name = name
        self.settings = settings or BprSettings()
        self.targets: tuple[str, ...] = ()
        self.needs: frozenset[str] = frozenset()
        self._threads, self._progress = threads, progress
        self._inputs = self._items = np.zeros((0, self.settings.dim), np.float32)
        self._known: Flags = np.zeros(0, np.bool_)

    @property
    def known(self) -> Flags:
        """bool[n_items] items of the fitted sessions."""
        return self._known

    def fit(self, log: SessionLog) -> Self:
        """Draw positives and negatives, step by step. Memory: 16 d bytes an item, 4 an event."""
        settings, known = self.settings, KnownItems.of(log)
        log, self._known = known.renumber(log), known.known
        counts = np.bincount(log.aids, minlength=log.n_items)
        rng = np.random.default_rng(settings.seed)
        shape = (log.n_items, settings.dim)
        scale = np.float32(INITIAL / np.sqrt(settings.dim))
        self._inputs, self._items = (rng.standard_normal(shape, np.float32) * scale for _ in range(2))
        self._inputs[:, -1], self._items[:, -1] = 1, 0  # a mean of ones: what item biases are multiplied by
        if log.n_items > 1 and log.lengths.max(initial=0) > 1:
            self._learn(log, np.cumsum(counts**settings.negative_power))
        self._inputs, self._items = known.spread(self._inputs), known.spread(self._items)
        return self

    def _learn(self, log: SessionLog, popularity: F64) -> None:
        settings = self.settings
        size, d = settings.batch, settings.dim
        weights, fade = _weights(log, settings)
        owner = log.owner().astype(np.int32)
        positives, negatives = np.empty(size, np.int32), np.empty((size, settings.negatives), np.int32)
        contexts, differences = np.empty((size, d), np.float32), np.empty((size, d), np.float32)
        pulls, totals = np.empty((size, settings.negatives), np.float32), np.empty(size, np.float32)
        tables = [(table, np.zeros_like(table), np.zeros(log.n_items)) for table in (self._items, self._inputs)]
        total = settings.epochs * log.n_events
        pieces = np.linspace(0, size, self._threads + 1).astype(np.int64)
        with (
            ThreadPoolExecutor(self._threads) as pool,
            tqdm(total=total, desc=self.name, unit="samples", disable=None if self._progress else True) as bar,
        ):
            for start in range(0, total, size):
                used = min(size, total - start)

                def draw(piece: int, start: int = start, used: int = used) -> None:
                    draw_samples(
                        start, pieces[piece], min(pieces[piece + 1], used), settings.seed, log.offsets, log.aids, owner,
                        weights, fade, popularity, self._inputs, self._items,
                        positives, negatives, contexts, differences, pulls, totals,
                    )  # fmt: skip

                def step(piece: int, used: int = used) -> None:
                    step_rows(
                        piece, self._threads, used, log.offsets, log.aids, owner, weights, fade,
                        positives, negatives, contexts, differences, pulls, totals,
                        *tables[0], *tables[1], settings.learning_rate, settings.regularization,
                    )  # fmt: skip

                for work in (draw, step):
                    list(pool.map(work, range(self._threads)))
                bar.update(used)

    def item_vectors(self, target: str | None = None) -> F32:  # noqa: ARG002  (one set for all)
        """float32[n_items, d]."""
        return self._items

    def session_vectors(self, log: SessionLog, target: str | None = None) -> F32:  # noqa: ARG002
        """float32[S, d]."""
        return mean_sessions(log, *_weights(log, self.settings), self._known, self._inputs)

    def revisits(self, log: SessionLog, target: str | None = None) -> F32 | None:  # noqa: ARG002
        """See :func:`models.session_items.fading_revisits`."""
        return fading_revisits(log, self.settings)

    def save(self, folder: Path) -> None:
        """Write the factors."""
        save_arrays(folder, inputs=self._inputs, items=self._items, known=self._known)

    def load(self, folder: Path) -> Self:
        """Open the factors.

        Raises
        ------
        InputError
            If a file is missing or its width is another than the settings'.
        """
        self._inputs, self._items = need_array(folder, "inputs"), need_array(folder, "items")
        self._known = need_array(folder, "known")
        for table in (self._inputs, self._items):
            if table.shape != (self._known.size, self.settings.dim):
                raise InputError(folder, None, f"factors of shape {table.shape}", "fit the model again")
        return self


def _weights(log: SessionLog, settings: BprSettings) -> tuple[F32, F32]:
    """float32[N] weights of the events' types; float32[context] what they are times, by events before the last."""
    return weigh_events(log, settings.event_weights), fading(settings.context, settings.half_life)


@kernel
def draw_samples(
    start: int, first: int, last: int, seed: int, offsets: I64, aids: I32, owner: I32,
    weights: F32, fade: F32, popularity: F64, inputs: F32, items: F32,
    positives: I32, negatives: I32, contexts: F32, differences: F32, pulls: F32, totals: F32,
) -> None:  # fmt: skip
    """Draw samples ``first:last`` of the batch from sample ``start`` on, and what they pull at.

    positives   : int32[B] event of the positive, -1 for none;  negatives : int32[B, K] items, -1 for none
    contexts    : float32[B, d] x_s;  totals : float32[B] sum of its weights
    pulls       : float32[B, K] sigmoid(-x_s·(v_i - v_j)) / K
    differences : float32[B, d] Σ over the negatives of pull * (v_i - v_j): the gradient of x_s
    """
    n_negatives, d = negatives.shape[1], contexts.shape[1]
    heaviest = weights.max()
    everything = np.zeros(0, np.bool_)
    for b in range(first, last):
        stream = int(mix(seed, start + b))
        positives[b] = -1
        for t in range(TRIES):
            event = below(stream, 2 * t, aids.size)
            # An event is taken as often as it weighs; the first of a session has nothing before it.
            if event > offsets[owner[event]] and uniform(stream, 2 * t + 1) * heaviest < weights[event]:
                positives[b] = event
                break
        if positives[b] < 0:
            continue
        event = positives[b]
        begin, positive = offsets[owner[event]], aids[event]
        context, difference = contexts[b], differences[b]
        totals[b] = mean_of_events(begin, event, aids, weights, fade, everything, inputs, context)
        if totals[b] == 0:
            positives[b] = -1
            continue
        difference[:] = 0
        for k in range(n_negatives):
            negatives[b, k] = -1
            for t in range(TRIES):
                drawn = uniform(stream, TRIES * (2 + k) + t) * popularity[-1]
                item = np.searchsorted(popularity, drawn, side="right")
                if item != positive and not _holds(aids, max(begin, event - fade.size), event, item):
                    negatives[b, k] = item
                    break
            if negatives[b, k] < 0:
                continue
            item = negatives[b, k]
            x = np.float32(0)
            for f in range(d):
                x += context[f] * (items[positive, f] - items[item, f])
            pulls[b, k] = 1 / ((1 + np.exp(x)) * n_negatives)
            for f in range(d):
                difference[f] += pulls[b, k] * (items[positive, f] - items[item, f])


@inline
def _holds(aids: I32, begin: int, end: int, item: int) -> bool:
    """Whether ``item`` is among events ``begin:end``."""
    for event in range(begin, end):  # noqa: SIM110  (numba compiles a loop)
        if aids[event] == item:
            return True
    return False


@kernel
def step_rows(
    piece: int, pieces: int, used: int, offsets: I64, aids: I32, owner: I32, weights: F32, fade: F32,
    positives: I32, negatives: I32, contexts: F32, differences: F32, pulls: F32, totals: F32,
    items: F32, items_gradient: F32, items_squares: F64, inputs: F32, inputs_gradient: F32, inputs_squares: F64,
    rate: float, regularization: float,
) -> None:  # fmt: skip
    """Sum the gradients of the rows that this piece owns (row modulo pieces), in the order of samples, and step.

    Gradients are zeros before and after; squares hold Adagrad's sums, a number a row.
    """
    d = items.shape[1]
    capacity = used * (1 + max(negatives.shape[1], fade.size))
    touched_items, touched_inputs = np.empty(capacity, np.int32), np.empty(capacity, np.int32)
    n_items, n_inputs = 0, 0
    for b in range(used):
        event = positives[b]
        if event < 0:
            continue
        positive, pulled = aids[event], 0.0
        for k in range(negatives.shape[1]):
            item = negatives[b, k]
            if item >= 0:
                pulled += pulls[b, k]
                if item % pieces == piece:
                    _pull(items, items_gradient, item, -pulls[b, k], contexts[b], regularization, d)
                    touched_items[n_items] = item
                    n_items += 1
        if positive % pieces == piece:
            _pull(items, items_gradient, positive, pulled, contexts[b], regularization, d)
            touched_items[n_items] = positive
            n_items += 1
        for before in range(max(offsets[owner[event]], event - fade.size), event):
            item = aids[before]
            if item % pieces == piece:
                share = weights[before] * fade[event - 1 - before] / totals[b]
                _pull(inputs, inputs_gradient, item, share, differences[b], regularization * share, d - 1)
                touched_inputs[n_inputs] = item
                n_inputs += 1
    _step(items, items_gradient, items_squares, touched_items[:n_items], rate)
    _step(inputs, inputs_gradient, inputs_squares, touched_inputs[:n_inputs], rate)


@inline
def _pull(table: F32, gradient: F32, row: int, factor: float, direction: F32, regularization: float, d: int) -> None:
    """Add factor * direction - regularization * row to the row's gradient, over its first ``d`` numbers."""
    for f in range(d):
        gradient[row, f] += np.float32(factor) * direction[f] - np.float32(regularization) * table[row, f]


@inline
def _step(table: F32, gradient: F32, squares: F64, rows: I32, rate: float) -> None:
    """Row-wise Adagrad: a row that is named again has no gradient left."""
    d = table.shape[1]
    for row in rows:
        square = 0.0
        for f in range(d):
            square += np.float64(gradient[row, f]) * gradient[row, f]
        if square > 0:
            squares[row] += square / d
            step = np.float32(rate / np.sqrt(squares[row]))
            for f in range(d):
                table[row, f] += step * gradient[row, f]
                gradient[row, f] = 0
