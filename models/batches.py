"""Training batches of sessions: windows of events, padded to the longest, one positive a position.

Every draw is a pure function of (seed, epoch, place), so that a run that was stopped goes on with the same batches.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from events.arrays import F64, I8, I32, I64
from events.compiled import inline, kernel
from events.log import SessionLog
from events.randomness import mix, uniform

GAP_BUCKETS = 24
"""Gaps between events in powers of two of a second: bucket 0 up to 1 s (or no time at all), the last from 97 days."""

GROUP_BATCHES = 64
"""Windows are sorted by length within the windows of so many batches: little padding, and still a random order."""

NO_TARGET = -1


@dataclass(frozen=True, slots=True)
class Batch:
    """B windows padded to L events on the right, and M positions that have something to predict.

    items     : int64[B, L] dense item rows; padding repeats item 0 and is never looked at
    types     : int64[B, L] event types, 0 where the shop has none
    gaps      : int64[B, L] bucket of the time since the event before
    lengths   : int64[B] events of each window
    places    : int64[M] position ``b * L + t`` of each prediction
    targets   : int64[M] 0 clicks, 1 carts, 2 orders: what is predicted
    positives : int64[M] the item
    """

    items: I64
    types: I64
    gaps: I64
    lengths: I64
    places: I64
    targets: I64
    positives: I64


@dataclass(frozen=True, slots=True)
class PositiveRule:
    """Which later item a position predicts.

    target_weights : chance of clicks, carts and orders, among those that are still to come
    horizon, decay : for clicks the j-th next click (from 0, below ``horizon``) weighs ``decay``^j; of the later carts
                     and orders each is as likely
    """

    target_weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    horizon: int = 1
    decay: float = 0.5


@dataclass(frozen=True, slots=True)
class Windows:
    """Pieces of sessions of at most ``length`` events that are followed by at least one: all that can be trained on.

    starts : int64[W] first event of the window in the log
    sizes  : int64[W] events of the window
    ends   : int64[W] end of the window's session in the log
    """

    starts: I64
    sizes: I64
    ends: I64

    @classmethod
    def of(cls, log: SessionLog, length: int) -> "Windows":
        """Sessions cut from their end: the last event of a session is predicted only, never read."""
        usable = np.maximum(log.lengths - 1, 0)
        counts = -(-usable // length)
        owner = np.repeat(np.arange(len(log)), counts)
        place = np.arange(owner.size) - np.repeat(np.cumsum(counts) - counts, counts)
        stops = usable[owner] - place * length
        starts = np.maximum(stops - length, 0)
        return cls(log.offsets[owner] + starts, stops - starts, log.offsets[owner + 1])

    def __len__(self) -> int:
        return self.starts.size


def plan_epoch(windows: Windows, batch_tokens: int, seed: int) -> tuple[I64, I64]:
    """The order of an epoch: int64[W] windows, and int64[n+1] bounds of its batches in it.

    A batch has at most ``batch_tokens`` events, padding counted (one window at least). Batches of like lengths are
    shuffled among the others.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(windows))
    mean = max(1.0, float(windows.sizes.mean())) if len(windows) else 1.0
    group = max(1, int(GROUP_BATCHES * batch_tokens / mean))
    pieces: list[I64] = []
    for start in range(0, order.size, group):
        piece = order[start : start + group]
        piece = piece[np.argsort(windows.sizes[piece], kind="stable")]
        bounds = cut_batches(windows.sizes[piece], batch_tokens)
        parts = np.split(piece, bounds[1:-1])
        pieces += [parts[i] for i in rng.permutation(len(parts))]
    sizes = np.array([piece.size for piece in pieces], np.int64)
    bounds = np.zeros(sizes.size + 1, np.int64)
    np.cumsum(sizes, out=bounds[1:])
    return (np.concatenate(pieces) if pieces else np.zeros(0, np.int64)), bounds


@kernel
def cut_batches(sizes: I64, batch_tokens: int) -> I64:
    """Bounds of batches of ascending ``sizes``: number of windows times the longest stays within ``batch_tokens``."""
    bounds = np.empty(sizes.size + 1, np.int64)
    bounds[0] = 0
    n, start = 0, 0
    for i in range(sizes.size):
        if i > start and (i + 1 - start) * sizes[i] > batch_tokens:
            n += 1
            bounds[n] = i
            start = i
    if sizes.size > 0:
        n += 1
        bounds[n] = sizes.size
    return bounds[: n + 1].copy()


class TrainingBatches:
    """The batches of every epoch over the sessions of a log.

    ``part`` of ``parts`` gets every ``parts``-th batch: the shares of data-parallel processes, all of one length.
    """

    def __init__(
        self,
        log: SessionLog,
        length: int,
        batch_tokens: int,
        rule: PositiveRule,
        seed: int,
        part: int = 0,
        parts: int = 1,
    ) -> None:
        self.windows = Windows.of(log, length)
        self._log, self._tokens, self._rule, self._seed = log, batch_tokens, rule, seed
        self._part, self._parts = part, parts

    def epoch(self, number: int, skip: int = 0) -> Iterator[tuple[Batch, float]]:
        """Batches of an epoch, after the first ``skip``, with the share of the epoch that is done after each."""
        seed = int(np.int64(mix(self._seed, number) >> np.uint64(1)))
        order, bounds = plan_epoch(self.windows, self._tokens, seed)
        n = (bounds.size - 1) // self._parts
        for i in range(skip, n):
            b = i * self._parts + self._part
            rows = order[bounds[b] : bounds[b + 1]]
            yield make_batch(self._log, self.windows, rows, self._rule, seed), (i + 1) / n


def make_batch(log: SessionLog, windows: Windows, rows: I64, rule: PositiveRule, seed: int) -> Batch:
    """The batch of these windows."""
    starts, sizes, ends = windows.starts[rows], windows.sizes[rows], windows.ends[rows]
    inputs = pad(log, starts, sizes, int(sizes.max(initial=1)))
    shape = inputs[0].shape
    items, targets = np.empty(shape, np.int64), np.full(shape, NO_TARGET, np.int64)
    types = log.types_or_empty
    weights = np.array(rule.target_weights)
    draw_positives(log.aids, types, starts, sizes, ends, weights, rule.horizon, rule.decay, seed, items, targets)
    places = np.flatnonzero(targets != NO_TARGET)
    return Batch(*inputs, sizes, places, targets.ravel()[places], items.ravel()[places])


def pad(log: SessionLog, starts: I64, sizes: I64, length: int) -> tuple[I64, I64, I64]:
    """Items, types and gap buckets of windows, int64[B, length] each."""
    shape = (starts.size, length)
    items, kinds, gaps = (np.zeros(shape, np.int64) for _ in range(3))
    types = log.types_or_empty
    ts = log.ts_or_empty
    fill_windows(log.aids, types, ts, starts, sizes, items, kinds, gaps)
    return items, kinds, gaps


@inline
def gap_bucket(gap: int) -> int:
    """The bucket of a number of seconds."""
    bucket = 0
    while gap > 1 and bucket < GAP_BUCKETS - 1:
        gap >>= 1
        bucket += 1
    return bucket


@kernel
def fill_windows(aids: I32, types: I8, ts: I32, starts: I64, sizes: I64, items: I64, kinds: I64, gaps: I64) -> None:
    """Copy the events of each window; ``types`` and ``ts`` are empty where the shop has none."""
    for b in range(starts.size):
        for t in range(sizes[b]):
            event = starts[b] + t
            items[b, t] = aids[event]
            if types.size > 0:
                kinds[b, t] = types[event]
            if ts.size > 0 and t > 0:
                gaps[b, t] = gap_bucket(ts[event] - ts[event - 1])


@kernel
def draw_positives(
    aids: I32, types: I8, starts: I64, sizes: I64, ends: I64,
    weights: F64, horizon: int, decay: float, seed: int, items: I64, targets: I64,
) -> None:  # fmt: skip
    """Draw for each event of each window a target still to come and one of its items; see :class:`PositiveRule`.

    Only ``targets`` of positions that have one are written, and ``items`` there.
    """
    longest = 0
    for b in range(starts.size):
        longest = max(longest, ends[b] - starts[b])
    later = np.empty((3, longest), np.int64)
    found = np.zeros(3, np.int64)
    for b in range(starts.size):
        # Backwards: later[k, :found[k]] are the events of type k behind position t, the nearest last.
        found[:] = 0
        event = ends[b] - 1
        for t in range(sizes[b] - 1, -1, -1):
            while event > starts[b] + t:
                kind = types[event] if types.size > 0 else 0
                later[kind, found[kind]] = event
                found[kind] += 1
                event -= 1
            total = 0.0
            for k in range(3):
                total += weights[k] if found[k] > 0 else 0.0
            if total <= 0.0:
                continue
            counter = (starts[b] + t) * 2
            draw = uniform(seed, counter) * total
            target = -1
            for k in range(3):
                if found[k] > 0 and weights[k] > 0.0:
                    target = k
                    draw -= weights[k]
                    if draw < 0.0:
                        break
            again = uniform(seed, counter + 1)
            n = found[target]
            if target == 0:
                reach = min(horizon, n)
                mass = 0.0
                for j in range(reach):
                    mass += decay**j
                again *= mass
                j = 0
                while j < reach - 1 and again >= decay**j:
                    again -= decay**j
                    j += 1
                chosen = later[0, n - 1 - j]
            else:
                chosen = later[target, int(again * n)]
            items[b, t] = aids[chosen]
            targets[b, t] = target
