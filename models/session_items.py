"""Sessions as bags: each session's different items, with the summed weights of their events."""

from dataclasses import dataclass

import numpy as np

from events.arrays import F32, I32, I64, Flags
from events.compiled import inline, kernel
from events.log import SessionLog
from models.factor_settings import EventWeights, FactorSettings


@dataclass(frozen=True, slots=True)
class SessionItems:
    """Different items of S sessions, each session's in the order of their first events.

    offsets : int64[S+1];  items : int32[M];  weights : float32[M], positive
    """

    offsets: I64
    items: I32
    weights: F32

    @classmethod
    def of(cls, log: SessionLog, event_weights: F32, known: Flags | None = None) -> "SessionItems":
        """Sum the weights float32[N] of the events of a session with the same item, one of ``known`` where given.

        Events of weight 0 are left out.
        """
        sizes = np.empty(len(log), np.int64)
        items, weights = np.empty(log.n_events, np.int32), np.empty(log.n_events, np.float32)
        usable = np.zeros(0, np.bool_) if known is None else known
        sum_by_item(log.offsets, log.aids, event_weights, usable, sizes, items, weights)
        offsets = np.zeros(len(log) + 1, np.int64)
        np.cumsum(sizes, out=offsets[1:])
        return cls(offsets, items[: offsets[-1]], weights[: offsets[-1]])

    def by_item(self, n_items: int) -> "SessionItems":
        """The transpose: for each item its sessions, ascending, with the same weights."""
        offsets = np.zeros(n_items + 1, np.int64)
        np.cumsum(np.bincount(self.items, minlength=n_items), out=offsets[1:])
        sessions, weights = np.empty(self.items.size, np.int32), np.empty(self.items.size, np.float32)
        transpose(self.offsets, self.items, self.weights, offsets[:-1].copy(), sessions, weights)
        return SessionItems(offsets, sessions, weights)


def weigh_events(log: SessionLog, weights: EventWeights, half_life: float | None = None) -> F32:
    """float32[N] weight of each event: its type's, halved every ``half_life`` events before the session's last."""
    by_type = np.asarray(weights.by_code, np.float32)[log.type_codes()]
    return by_type if half_life is None else by_type * recency(log, half_life)


def recency(log: SessionLog, half_life: float) -> F32:
    """float32[N]: 1 for the last event of a session, half of it every ``half_life`` events before."""
    age = np.repeat(log.offsets[1:], log.lengths) - 1 - np.arange(log.n_events)
    return np.exp2(-age / half_life).astype(np.float32)


def fading_revisits(log: SessionLog, settings: FactorSettings) -> F32 | None:
    """float32[N] ``settings.revisit`` for the last event, fading with ``half_life``; ``None`` if it is 0."""
    if settings.revisit == 0:
        return None
    return np.float32(settings.revisit) * recency(log, settings.half_life or np.inf)


def fading(events: int, half_life: float | None) -> F32:
    """float32[events] weights by the number of events since: 1, halved every ``half_life``; all 1 without one."""
    return np.exp2(-np.arange(events) / (half_life or np.inf)).astype(np.float32)


def mean_sessions(log: SessionLog, weights: F32, fade: F32, known: Flags, inputs: F32) -> F32:
    """float32[S, d] weighted means of the vectors of each session's events; see :func:`mean_of_events`."""
    out = np.empty((len(log), inputs.shape[1]), np.float32)
    mean_of_each(log.offsets, log.aids, weights, fade, known, inputs, out)
    return out


@kernel
def sum_by_item(
    offsets: I64, aids: I32, event_weights: F32, known: Flags, sizes: I64, items: I32, weights: F32
) -> None:
    """Write sizes int64[S], items and weights [N] without gaps; ``known`` of size 0 stands for all items.

    Sessions are short: an item is looked for among those found so far.
    """
    end = 0
    for s in range(offsets.size - 1):
        first = end
        for event in range(offsets[s], offsets[s + 1]):
            aid, weight = aids[event], event_weights[event]
            if weight <= 0 or (known.size > 0 and not known[aid]):
                continue
            place = first
            while place < end and items[place] != aid:
                place += 1
            if place == end:
                items[end], weights[end] = aid, weight
                end += 1
            else:
                weights[place] += weight
        sizes[s] = end - first


@kernel
def transpose(offsets: I64, items: I32, weights: F32, places: I64, sessions: I32, out: F32) -> None:
    """Deal pairs out to their items; ``places`` int64[n_items] hold where each item's begin, and are moved on."""
    for s in range(offsets.size - 1):
        for pair in range(offsets[s], offsets[s + 1]):
            place = places[items[pair]]
            sessions[place], out[place] = s, weights[pair]
            places[items[pair]] = place + 1


@inline
def mean_of_events(
    begin: int, end: int, aids: I32, weights: F32, fade: F32, known: Flags, inputs: F32, out: F32
) -> np.float32:
    """Write the mean of ``inputs`` over the last of events ``begin:end`` to ``out``; return the sum of the weights.

    weights : float32[N] of the events, times ``fade`` float32[H] by the events since; older ones are left out
    known   : bool[n_items], or of size 0 for all items; events on others are left out

    Without any weight ``out`` is 0.
    """
    out[:] = 0
    total, d = np.float32(0), out.size
    for event in range(max(begin, end - fade.size), end):
        if known.size == 0 or known[aids[event]]:
            weight = weights[event] * fade[end - 1 - event]
            total += weight
            for f in range(d):
                out[f] += weight * inputs[aids[event], f]
    if total > 0:
        for f in range(d):
            out[f] /= total
    return total


@kernel
def mean_of_each(offsets: I64, aids: I32, weights: F32, fade: F32, known: Flags, inputs: F32, out: F32) -> None:
    """Rows of ``out`` float32[S, d] for all sessions."""
    for s in range(offsets.size - 1):
        mean_of_events(offsets[s], offsets[s + 1], aids, weights, fade, known, inputs, out[s])
