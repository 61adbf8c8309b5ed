"""Whole sessions, walked from their first event to their end: a chunk of the log as arrays."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from events.compiled import kernel
from events.randomness import below, mix
from events.shop.sessions import arrival, begin, step
from events.shop.settings import ShopSettings
from events.shop.state import MAX_EVENTS, STATE, Habits, State, make_habits
from events.shop.world import World, make_world

ARRIVALS, CUTS = 101, 102
"""Counters of the seeds that start times and cuts are drawn from."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Sessions ``first:first + S`` of the shop.

    first   : id of the first session
    offsets : int64[S+1] events of session s are ``offsets[s]:offsets[s+1]``
    aids    : int32[N]
    ts      : int64[N] unix milliseconds, ascending in a session
    types   : int8[N]
    """

    first: int
    offsets: npt.NDArray[np.int64]
    aids: npt.NDArray[np.int32]
    ts: npt.NDArray[np.int64]
    types: npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Shop:
    """A drawn shop, ready to be walked by any number of threads."""

    settings: ShopSettings
    world: World
    habits: Habits

    @classmethod
    def of(cls, settings: ShopSettings) -> "Shop":
        """Draw the shop."""
        return cls(settings, make_world(settings), make_habits(settings))

    @property
    def clock_seed(self) -> int:
        """Seed of the start times."""
        return int(mix(self.settings.seed, ARRIVALS)) >> 1

    def walk(self, first: int, last: int) -> Chunk:
        """Sessions ``first:last`` (test sessions in full); train and test ids must not be mixed in one call."""
        parts: list[tuple[Any, ...]] = []
        done = first
        while done < last:
            room = max(MAX_EVENTS, 24 * (last - done))
            sizes = np.empty(last - done, np.int64)
            aids, ts, types = np.empty(room, np.int32), np.empty(room, np.int64), np.empty(room, np.int8)
            state = np.zeros(1, STATE)[:1]
            stopped, events = walk_sessions(
                self.world, self.habits, state, self.settings.seed, self.clock_seed, self.frame, done, last,
                sizes, aids, ts, types,
            )  # fmt: skip
            parts.append((sizes[: stopped - done], aids[:events], ts[:events], types[:events]))
            done = stopped
        sizes, aids, ts, types = (np.concatenate(part) for part in zip(*parts, strict=True))
        offsets = np.zeros(last - first + 1, np.int64)
        np.cumsum(sizes, out=offsets[1:])
        return Chunk(first, offsets, aids, ts, types)

    @property
    def frame(self) -> tuple[int, int, int, int, int]:
        """Train and test sessions; unix ms of begin, end of train, end of test."""
        settings = self.settings
        times = (settings.start_ms, settings.train_end_ms, settings.test_end_ms)
        return (settings.train_sessions, settings.tests, *times)

    def cuts(self, chunk: Chunk) -> npt.NDArray[np.int64]:
        """int64[S] visible events of each session: the cut is at a random event, 1 to n - 1."""
        out = np.empty(chunk.offsets.size - 1, np.int64)
        draw_cuts(int(mix(self.settings.seed, CUTS)) >> 1, chunk.first, chunk.offsets, out)
        return out


@kernel
def enter(
    world: World,
    habits: Habits,
    state: State,
    seed: int,
    clock_seed: int,
    frame: tuple[int, int, int, int, int],
    session: int,
) -> None:
    """Let session ``session`` enter, be it of train or of test."""
    train, test, start, train_end, test_end = frame
    if session < train:
        clock = start + arrival(clock_seed, world.arrivals, session, train)
        begin(world, habits, state, seed, session, start, clock, train_end)
    else:
        clock = train_end + arrival(clock_seed, world.test_arrivals, session - train, test)
        begin(world, habits, state, seed, session, start, clock, test_end)


@kernel
def walk_sessions(
    world: World,
    habits: Habits,
    states: npt.NDArray[Any],
    seed: int,
    clock_seed: int,
    frame: tuple[int, int, int, int, int],
    first: int,
    last: int,
    sizes: npt.NDArray[np.int64],
    aids: npt.NDArray[np.int32],
    ts: npt.NDArray[np.int64],
    types: npt.NDArray[np.int8],
) -> tuple[int, int]:
    """Walk sessions from ``first`` until ``last`` or until the buffers are full; return (next session, events)."""
    state = states[0]
    n = 0
    for session in range(first, last):
        if n + MAX_EVENTS > aids.size:
            return session, n
        enter(world, habits, state, seed, clock_seed, frame, session)
        ts[n] = state.clock
        while step(world, habits, state):
            ts[n + state.size - 1] = state.clock
        for place in range(state.size):
            aids[n + place] = world.aids[state.items[place]]
            types[n + place] = state.types[place]
        sizes[session - first] = state.size
        n += state.size
    return last, n


@kernel
def draw_cuts(seed: int, first: int, offsets: npt.NDArray[np.int64], out: npt.NDArray[np.int64]) -> None:
    """Number of visible events of each session."""
    for s in range(out.size):
        out[s] = 1 + below(seed, first + s, offsets[s + 1] - offsets[s] - 1)
