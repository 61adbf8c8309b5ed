"""Continuing sessions many times: how probable each item is to become a label."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from events.compiled import kernel
from events.lists import insert_best
from events.randomness import mix, uniform
from events.shop.chances import Notes, Sums, expect, expect_clicks, expect_notes, new_future, note_chances, touch
from events.shop.likelihood import Tables
from events.shop.posterior import BEFORE, INTENT, Belief, accumulate, believe, draw_hidden
from events.shop.sessions import step
from events.shop.state import Habits, State, copy_state, rewind
from events.shop.walk import enter
from events.shop.world import World

PATIENCE: Final = 40
"""Futures tried for each one wanted, where most of them hold no event at all."""

GOLDEN: Final = 0.6180339887498949
"""Steps of the golden ratio spread the futures evenly over the posterior."""

TOO_SHORT, IMPOSSIBLE = 0, 1
"""What is wrong with a session: it has fewer events than its cut; its events cannot be of this shop."""


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
    ts: npt.NDArray[np.int64],
) -> bool:
    """Walk a session to its first ``cut`` events, their times into ``ts``; false if it has fewer."""
    enter(world, habits, state, seed, clock_seed, frame, session)
    ts[0] = state.clock
    while state.size < cut:
        if not step(world, habits, state):
            return False
        ts[state.size - 1] = state.clock
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
    """Replay and continue one session in ``states[0]``; times of all events into ``ts``."""
    state = states[0]
    if not replay(world, habits, state, seed, clock_seed, frame, session, cut, ts):
        return False
    state.stream = stream
    while step(world, habits, state):
        ts[state.size - 1] = state.clock
    return True


@kernel
def continue_sessions(
    world: World,
    habits: Habits,
    tables: Tables,
    states: npt.NDArray[Any],
    belief: Belief,
    sums: Sums,
    notes: Notes,
    seed: int,
    clock_seed: int,
    frame: tuple[int, int, int, int, int],
    sessions: npt.NDArray[np.int64],
    cuts: npt.NDArray[np.int64],
    observable: bool,
    continuations: int,
    random_cut: bool,
    trust: float,
    known: npt.NDArray[np.bool_],
    pool_offsets: npt.NDArray[np.int64],
    pool_items: npt.NDArray[np.int32],
    sizes: npt.NDArray[np.int64],
    aids: npt.NDArray[np.int32],
    scores: npt.NDArray[np.float64],
) -> tuple[int, int]:
    """Fill the k best items of each session and target, of all items (0) and of its pool (1).

    ``states`` holds two; futures begin in states drawn from the posterior if ``observable``, else in the true one.
    Out: sizes [S, 2, 3], aids and scores [S, 2, 3, k]. Returns (-1, 0), or the first session at fault and its fault.
    """
    past = states[0]
    ts = np.empty(past.items.size, np.int64)
    cumulative = np.empty(belief.weights[0].size)
    for s in range(sessions.size):
        if not replay(world, habits, past, seed, clock_seed, frame, sessions[s], cuts[s], ts):
            return s, TOO_SHORT
        cells = 0
        if observable:
            items, types = past.items.copy(), past.types.copy()
            if not np.isfinite(believe(world, habits, tables, past, items, types, ts, cuts[s], belief)):
                return s, IMPOSSIBLE
            cells = accumulate(belief, cumulative)
        else:
            belief.counts[0] = 1
            belief.keys[0, 0, INTENT], belief.keys[0, 0, BEFORE] = past.intent, past.intent_before
        total = continue_state(
            world, habits, tables, states, belief, cumulative[:cells], sums, notes, continuations, random_cut, trust,
            known,
        )  # fmt: skip
        if total <= 0.0:
            continue
        for t in range(3):
            factor = factor_of(sums, t)
            items = sums.touched[t, : sums.sizes[t]]
            best(world.aids, sums, t, items, total, factor, trust, sizes[s, 0], aids[s, 0, t], scores[s, 0, t])
            if pool_offsets.size > 1:
                items = pool_items[pool_offsets[s] : pool_offsets[s + 1]]
                best(world.aids, sums, t, items, total, factor, trust, sizes[s, 1], aids[s, 1, t], scores[s, 1, t])
            for place in range(sums.sizes[t]):
                x = sums.touched[t, place]
                sums.counted[t, x] = sums.expected[t, x] = 0.0
                sums.futures[t, x] = sums.stamps[t, x] = 0
            sums.sizes[t] = 0
    return -1, 0


@kernel
def continue_state(
    world: World,
    habits: Habits,
    tables: Tables,
    states: npt.NDArray[Any],
    belief: Belief,
    cumulative: npt.NDArray[np.float64],
    sums: Sums,
    notes: Notes,
    continuations: int,
    random_cut: bool,
    trust: float,
    known: npt.NDArray[np.bool_],
) -> float:
    """Continue ``states[0]`` into the sums; return the weight of all futures that hold an event."""
    past, future = states[0], states[1]
    cut = past.size
    visible = count_known(past, 0, known)
    shift = uniform(int(mix(past.seed, -1)), cut)
    # Weight, and weighted seconds, of the futures that begin with a click, by hypothesis, within the visit or later.
    clicked = np.zeros((belief.counts[0], 2))
    elapsed = np.zeros(belief.counts[0])
    total, found, stream = 0.0, 0, 0
    copy_state(past, future)
    while found < continuations and stream < PATIENCE * continuations:
        stream += 1
        rewind(past, future)
        h = 0
        if cumulative.size > 0:
            h = draw_hidden(habits, tables, belief, cumulative, (shift + stream * GOLDEN) % 1.0, future)
        future.stream = stream
        visits, first_clock, returned = future.visits, past.clock, 0
        new_future(notes)
        if trust > 0.0:
            note_chances(world, habits, future, cut, notes)
        while step(world, habits, future):
            if future.size == cut + 1:
                first_clock, returned = future.clock, int(future.visits > visits)
            if trust > 0.0:
                note_chances(world, habits, future, cut, notes)
        later = count_known(future, cut, known)
        if later == 0:
            continue
        found += 1
        weight = 1.0 / max(1, visible + later - 1) if random_cut else 1.0
        total += weight
        direct = trust > 0.0 and future.types[cut] == 0
        add_labels(world, future, cut, weight, found, trust > 0.0 and not direct, known, sums)
        if direct:
            clicked[h, returned] += weight
            if returned > 0:
                elapsed[h] += weight * (first_clock - past.clock)
        expect_notes(notes, known, weight, sums)
    if trust > 0.0:
        for h in range(clicked.shape[0]):
            intent, before = belief.keys[0, h, INTENT], belief.keys[0, h, BEFORE]
            now, then = clicked[h]
            clock = past.clock + int(elapsed[h] / then) if then > 0.0 else past.clock
            resumed = habits.resume_intent * then
            own = belief.own
            expect_clicks(world, habits, tables, past, own, known, intent, past.clock, False, now, sums)
            expect_clicks(world, habits, tables, past, own, known, intent, clock, True, then - resumed, sums)
            expect_clicks(world, habits, tables, past, own, known, before, clock, True, resumed, sums)
    return total


@kernel
def factor_of(sums: Sums, t: int) -> float:
    """What makes the expected sums of a target as large as the counted ones."""
    counted, expected = 0.0, 0.0
    for place in range(sums.sizes[t]):
        counted += sums.counted[t, sums.touched[t, place]]
        expected += sums.expected[t, sums.touched[t, place]]
    return counted / expected if expected > 0.0 and counted > 0.0 else 1.0


@kernel
def best(
    ids: npt.NDArray[np.int32],
    sums: Sums,
    t: int,
    items: npt.NDArray[np.int32],
    total: float,
    factor: float,
    trust: float,
    sizes: npt.NDArray[np.int64],
    aids: npt.NDArray[np.int32],
    scores: npt.NDArray[np.float64],
) -> None:
    """Fill the list of a target with the best of these items that may be labels."""
    counted, expected, futures = sums.counted[t], sums.expected[t], sums.futures[t]
    k, size = aids.size, 0
    for x in items:
        chance = counted[x]
        if trust > 0.0:
            chance = (futures[x] * chance + trust * factor * expected[x]) / (futures[x] + trust)
        chance /= total
        if chance <= 0.0 or (t == 0 and ids[x] == 0) or (size == k and chance < scores[k - 1]):
            continue
        size = insert_best(aids, scores, size, k, ids[x], chance)
    sizes[t] = size


@kernel
def count_known(state: State, first: int, known: npt.NDArray[np.bool_]) -> int:
    """Events from the place ``first`` on whose item is known."""
    count = 0
    for place in range(first, state.size):
        count += known[state.items[place]]
    return count


@kernel
def add_labels(
    world: World,
    state: State,
    cut: int,
    weight: float,
    stamp: int,
    expects_click: bool,
    known: npt.NDArray[np.bool_],
    sums: Sums,
) -> None:
    """Count one future's labels; events of unknown items do not exist."""
    clicked = False
    for place in range(cut, state.size):
        x = state.items[place]
        t = state.types[place]
        if not known[x]:
            continue
        if t == 0:
            if clicked:
                continue
            clicked = True
            if world.aids[x] == 0:
                continue
            if expects_click:
                expect(sums, known, t, x, weight)
        if sums.stamps[t, x] == stamp:
            continue
        sums.stamps[t, x] = stamp
        touch(sums, t, x)
        sums.counted[t, x] += weight
        sums.futures[t, x] += 1
