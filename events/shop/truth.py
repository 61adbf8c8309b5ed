"""The truth that the shop drew from: any session replayed to any event, and continued as often as one likes."""

from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from events.columns import TARGETS
from events.compiled import kernel
from events.lists import Lists, insert_best
from events.shop.sessions import step
from events.shop.settings import ShopSettings
from events.shop.state import STATE, Habits, State, copy_state
from events.shop.walk import Shop, enter
from events.shop.world import World

CHUNK: Final = 64
"""Sessions continued at a time by one thread."""

PATIENCE: Final = 40
"""Futures tried for each one wanted, where most of them hold no event at all."""


class Truth:
    """What may follow a cut, by the generator's own state at that moment (hidden intent, engagement, basket).

    Sessions are given by their id in the log, train or test; an item is its id in the log.
    """

    def __init__(self, settings: ShopSettings) -> None:
        self.shop = Shop.of(settings)

    def future(
        self, session: int, cut: int, stream: int = 0
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int8]]:
        """Items, unix milliseconds and types of the events after the first ``cut`` ones in one possible future.

        Stream 0 is what happened; any other stream is another future of the same past, which may be empty.

        Raises
        ------
        ValueError
            If the session has fewer than ``cut`` events.
        """
        shop = self.shop
        state = np.zeros(1, STATE)[:1]
        ts = np.empty(STATE["items"].shape[0], np.int64)
        if not continue_once(
            shop.world, shop.habits, state, shop.settings.seed, shop.clock_seed, shop.frame, session, cut, stream, ts
        ):
            raise ValueError(f"session {session} has fewer than {cut} events")
        size = int(state[0]["size"])
        aids = shop.world.aids[state[0]["items"][cut:size]]
        return aids, ts[cut:size], state[0]["types"][cut:size].copy()

    def inclusion(
        self,
        sessions: npt.NDArray[np.int64],
        cuts: npt.NDArray[np.int64],
        continuations: int = 500,
        k: int = 200,
        random_cut: bool = True,
        threads: int = 0,
    ) -> dict[str, Lists]:
        """Probability of every item to be a label, for S sessions of which the first ``cuts[s]`` events are visible.

        Labels are those of the competition: the next clicked item (never item 0), the sets of items carted and
        ordered until the log ends. Each session is continued until ``continuations`` futures with at least one event
        are found. With ``random_cut`` a future counts by 1 / (n - 1), n being the whole session's length: the chance
        that a cut drawn uniformly from 1 to n - 1 falls there; without, all futures count the same.

        Returns for each target a list a session: the ``k`` most probable items, best first, scores being
        probabilities. The result does not depend on ``threads`` (0: all cores).

        Raises
        ------
        ValueError
            If a session has fewer events than its cut.
        """
        starts = range(0, len(sessions), CHUNK)
        with ThreadPoolExecutor(threads or cpu_count() or 1) as pool:
            parts = list(
                pool.map(
                    lambda a: self._chunk(sessions[a : a + CHUNK], cuts[a : a + CHUNK], continuations, k, random_cut),
                    starts,
                )
            )
        if not parts:
            return {target: Lists.empty(0) for target in TARGETS}
        return {target: Lists.concat([part[t] for part in parts]) for t, target in enumerate(TARGETS)}

    def _chunk(
        self,
        sessions: npt.NDArray[np.int64],
        cuts: npt.NDArray[np.int64],
        continuations: int,
        k: int,
        random_cut: bool,
    ) -> list[Lists]:
        shop = self.shop
        targets = len(TARGETS)
        shape = (len(sessions), targets)
        sizes = np.zeros(shape, np.int64)
        aids, scores = np.empty((*shape, k), np.int32), np.empty((*shape, k), np.float64)
        short = continue_sessions(
            shop.world, shop.habits, np.zeros(2, STATE), shop.settings.seed, shop.clock_seed, shop.frame,
            np.asarray(sessions, np.int64), np.asarray(cuts, np.int64), continuations, random_cut,
            np.zeros((targets, shop.settings.items)), np.zeros((targets, shop.settings.items), np.int64),
            sizes, aids, scores,
        )  # fmt: skip
        if short >= 0:
            raise ValueError(f"session {sessions[short]} has fewer than {cuts[short]} events")
        kept = np.arange(k)
        lists = []
        for t in range(targets):
            offsets = np.zeros(len(sessions) + 1, np.int64)
            np.cumsum(sizes[:, t], out=offsets[1:])
            mask = kept < sizes[:, t, None]
            lists.append(Lists(offsets, aids[:, t][mask], scores[:, t][mask].astype(np.float32)))
        return lists


@kernel
def replay(
    world: World,
    habits: Habits,
    state: State,
    seed: int,
    clock_seed: int,
    frame: tuple[int, int, int, int, int],
    session: int,
    cut: int,
) -> bool:
    """Walk a session to its first ``cut`` events; false if it has fewer."""
    enter(world, habits, state, seed, clock_seed, frame, session)
    while state.size < cut:
        if not step(world, habits, state):
            return False
    return True


@kernel
def continue_once(
    world: World,
    habits: Habits,
    states: npt.NDArray[Any],
    seed: int,
    clock_seed: int,
    frame: tuple[int, int, int, int, int],
    session: int,
    cut: int,
    stream: int,
    ts: npt.NDArray[np.int64],
) -> bool:
    """Replay and continue one session in ``states[0]``; times of the later events into ``ts``, by event."""
    state = states[0]
    if not replay(world, habits, state, seed, clock_seed, frame, session, cut):
        return False
    state.stream = stream
    while step(world, habits, state):
        ts[state.size - 1] = state.clock
    return True


@kernel
def continue_sessions(
    world: World,
    habits: Habits,
    states: npt.NDArray[Any],
    seed: int,
    clock_seed: int,
    frame: tuple[int, int, int, int, int],
    sessions: npt.NDArray[np.int64],
    cuts: npt.NDArray[np.int64],
    continuations: int,
    random_cut: bool,
    mass: npt.NDArray[np.float64],
    stamps: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    aids: npt.NDArray[np.int32],
    scores: npt.NDArray[np.float64],
) -> int:
    """Fill the k best items of each session and target; return -1, or the first session that is too short.

    ``mass`` (float64[3, n]) and ``stamps`` (int64[3, n]) are zeroed workspace; out: sizes [S, 3], aids and scores
    [S, 3, k].
    """
    past, future = states[0], states[1]
    touched = np.empty((3, world.aids.size), np.int32)
    counts = np.zeros(3, np.int64)
    stamp = 0
    for s in range(sessions.size):
        if not replay(world, habits, past, seed, clock_seed, frame, sessions[s], cuts[s]):
            return s
        counts[:] = 0
        total, found, stream = 0.0, 0, 0
        while found < continuations and stream < PATIENCE * continuations:
            stream += 1
            copy_state(past, future)
            future.stream = stream
            while step(world, habits, future):
                pass
            if future.size == past.size:
                continue
            found += 1
            stamp += 1
            weight = 1.0 / (future.size - 1) if random_cut else 1.0
            total += weight
            add_labels(world, future, past.size, weight, stamp, mass, stamps, touched, counts)
        for t in range(3):
            for place in range(counts[t]):
                x = touched[t, place]
                sizes[s, t] = insert_best(
                    aids[s, t], scores[s, t], sizes[s, t], aids.shape[2], world.aids[x], mass[t, x] / total
                )
                mass[t, x] = 0.0
    return -1


@kernel
def add_labels(
    world: World,
    state: State,
    cut: int,
    weight: float,
    stamp: int,
    mass: npt.NDArray[np.float64],
    stamps: npt.NDArray[np.int64],
    touched: npt.NDArray[np.int32],
    counts: npt.NDArray[np.int64],
) -> None:
    """Add one future's labels to the mass of their items."""
    clicked = False
    for place in range(cut, state.size):
        x = state.items[place]
        t = state.types[place]
        if t == 0:
            if clicked:
                continue
            clicked = True
            if world.aids[x] == 0:
                continue
        if stamps[t, x] == stamp:
            continue
        stamps[t, x] = stamp
        if mass[t, x] == 0.0:
            touched[t, counts[t]] = x
            counts[t] += 1
        mass[t, x] += weight
