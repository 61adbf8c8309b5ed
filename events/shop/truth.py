"""The truth that the shop drew from: any session replayed to any event, and continued as often as one likes."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from events.columns import TARGETS
from events.lists import Lists
from events.shop.chances import new_notes, new_sums
from events.shop.futures import TOO_SHORT, continue_once, continue_sessions, replay
from events.shop.likelihood import Tables, make_tables
from events.shop.posterior import Belief, believe, new_belief
from events.shop.settings import ShopSettings
from events.shop.state import STATE
from events.shop.walk import Shop

CHUNK: Final = 64
"""Sessions continued at a time by one thread."""

ByTarget = dict[str, Lists]


@dataclass(frozen=True, slots=True)
class Question:
    """What may follow the first ``cuts[s]`` events of each of S sessions?

    sessions, cuts : int64[S]
    continuations  : futures with at least one event that each session gets
    k              : items of a list, at most
    random_cut     : a future counts by 1 / (n - 1), n being the whole session's length: the chance that a cut drawn
                     uniformly from 1 to n - 1 falls there; without, all futures count the same
    known          : bool[items] by id, ``None``: all. Events of other items do not exist: they are no labels and count
                     for no length, and a future of them alone is none.
    trust          : an item that is a label in n futures gets n / (n + trust) of their share and trust / (n + trust) of
                     what the chances met in all futures say (:mod:`events.shop.chances`); 0: the share alone. With few
                     futures the rest ranks items that were drawn seldom or never; with many it vanishes.
    pool_offsets, pool_aids : int64[S + 1], int32[M] items by id, each session's candidates; ``None``: no pool
    """

    sessions: npt.NDArray[np.int64]
    cuts: npt.NDArray[np.int64]
    continuations: int = 500
    k: int = 200
    random_cut: bool = True
    trust: float = 0.0
    known: npt.NDArray[np.bool_] | None = None
    pool_offsets: npt.NDArray[np.int64] | None = None
    pool_aids: npt.NDArray[np.int32] | None = None

    def part(self, start: int, stop: int) -> "Question":
        """The question for the sessions ``start:stop``."""
        offsets, aids = self.pool_offsets, self.pool_aids
        if offsets is not None and aids is not None:
            aids = aids[offsets[start] : offsets[stop]]
            offsets = offsets[start : stop + 1] - offsets[start]
        return Question(
            self.sessions[start:stop], self.cuts[start:stop], self.continuations, self.k, self.random_cut,
            self.trust, self.known, offsets, aids,
        )  # fmt: skip


class Truth:
    """What may follow a cut, by the generator's own state at that moment (hidden intent, engagement, basket).

    Sessions are given by their id in the log, train or test; an item is its id in the log.
    """

    observable: ClassVar[bool] = False
    """Whether the state at the cut is only known as far as the visible events tell."""

    def __init__(self, settings: ShopSettings) -> None:
        self.shop = Shop.of(settings)
        self._tables: Tables | None = None
        self.places = np.empty(settings.items, np.int32)
        self.places[self.shop.world.aids] = np.arange(settings.items, dtype=np.int32)

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
    ) -> ByTarget:
        """Probability of every item to be a label, given that at least one event follows.

        Labels are those of the competition: the next clicked item (never item 0), the sets of items carted and
        ordered until the log ends. The arguments are those of :class:`Question`; see :meth:`answer`.
        """
        return self.answer(Question(sessions, cuts, continuations, k, random_cut), threads)[0]

    def answer(self, question: Question, threads: int = 0, progress: bool = False) -> tuple[ByTarget, ByTarget]:
        """The most probable labels of S sessions: among all items, and among each session's candidates.

        Returns for each target a list a session, best first, scores being probabilities; items without any are left
        out. The result does not depend on ``threads`` (0: all cores).

        Raises
        ------
        ValueError
            If a session has fewer events than its cut.
        """
        size = len(question.sessions)
        if size == 0:
            return {target: Lists.empty(0) for target in TARGETS}, {target: Lists.empty(0) for target in TARGETS}
        _ = self.tables  # made once, not by each thread
        starts = range(0, size, CHUNK)
        bar = tqdm(total=size, desc=type(self).__name__.lower(), unit="session", disable=None if progress else True)
        parts = []
        with bar, ThreadPoolExecutor(threads or cpu_count() or 1) as pool:
            for part in pool.map(lambda a: self._chunk(question.part(a, min(a + CHUNK, size))), starts):
                parts.append(part)
                bar.update(len(part[0][TARGETS[0]]))
        everywhere, in_pool = ({t: Lists.concat([part[i][t] for part in parts]) for t in TARGETS} for i in range(2))
        return everywhere, in_pool

    @property
    def tables(self) -> Tables:
        """Tables of the shop, made when first asked for."""
        if self._tables is None:
            self._tables = make_tables(self.shop.settings, self.shop.world, self.shop.habits)
        return self._tables

    def _chunk(self, question: Question) -> tuple[ByTarget, ByTarget]:
        shop, k = self.shop, question.k
        items, size = shop.settings.items, len(question.sessions)
        known = np.ones(items, np.bool_) if question.known is None else question.known[shop.world.aids]
        offsets, pool = np.zeros(1, np.int64), np.zeros(0, np.int32)
        if question.pool_offsets is not None and question.pool_aids is not None:
            offsets, pool = question.pool_offsets, self.places[question.pool_aids]
        tables = self.tables
        shape = (size, 2, len(TARGETS))
        sizes = np.zeros(shape, np.int64)
        aids, scores = np.empty((*shape, k), np.int32), np.empty((*shape, k), np.float64)
        row, fault = continue_sessions(
            shop.world, shop.habits, tables, np.zeros(2, STATE),
            new_belief(shop.habits.level_cdf.size, tables.buyers.size), new_sums(items), new_notes(items),
            shop.settings.seed, shop.clock_seed, shop.frame,
            np.asarray(question.sessions, np.int64), np.asarray(question.cuts, np.int64),
            self.observable, question.continuations, question.random_cut, question.trust, known,
            offsets, pool, sizes, aids, scores,
        )  # fmt: skip
        if row >= 0:
            session, cut = question.sessions[row], question.cuts[row]
            if fault == TOO_SHORT:
                raise ValueError(f"session {session} has fewer than {cut} events")
            raise ValueError(f"the events of session {session} cannot be of this shop")
        kept = np.arange(k)
        found: tuple[ByTarget, ByTarget] = ({}, {})
        for which in range(2):
            for t, target in enumerate(TARGETS):
                mask = kept < sizes[:, which, t, None]
                offsets = np.zeros(size + 1, np.int64)
                np.cumsum(sizes[:, which, t], out=offsets[1:])
                probabilities = scores[:, which, t][mask].astype(np.float32)
                found[which][target] = Lists(offsets, aids[:, which, t][mask], probabilities)
        return found


class Observer(Truth):
    """What may follow a cut, by what its visible events and the shop's tables tell of the state at that moment.

    The futures begin in states drawn from the exact posterior (:mod:`events.shop.posterior`). Nobody who sees only the
    log can do better on average, since he does not even know the tables.
    """

    observable: ClassVar[bool] = True

    def belief(self, session: int, cut: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], float]:
        """Posterior of the hidden state: int64[H, 4] hypotheses, float64[H, levels, rates], and the log evidence.

        Raises
        ------
        ValueError
            If the session has fewer than ``cut`` events.
        """
        shop = self.shop
        states = np.zeros(1, STATE)
        ts = np.empty(STATE["items"].shape[0], np.int64)
        if not replay(
            shop.world, shop.habits, states[0], shop.settings.seed, shop.clock_seed, shop.frame, session, cut, ts
        ):
            raise ValueError(f"session {session} has fewer than {cut} events")
        made = new_belief(shop.habits.level_cdf.size, self.tables.buyers.size)
        evidence = self.believe(states, ts, cut, made)
        return made.keys[0, : made.counts[0]], made.weights[0, : made.counts[0]], evidence

    def believe(self, states: npt.NDArray[np.void], ts: npt.NDArray[np.int64], cut: int, made: Belief) -> float:
        """Fill a belief from the visible events in ``states[0]``."""
        items, types = states[0]["items"].copy(), states[0]["types"].copy()
        return float(believe(self.shop.world, self.shop.habits, self.tables, states[0], items, types, ts, cut, made))
