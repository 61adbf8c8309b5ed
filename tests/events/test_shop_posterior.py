"""The posterior of a shop's hidden state: against the generator's own draws, a path by path twin, and the truth."""

from collections import Counter, defaultdict

import numpy as np
import numpy.typing as npt
import pytest

from events.columns import TARGETS
from events.labels import labels_after
from events.lists import Lists
from events.shop.futures import replay
from events.shop.posterior import Belief, new_belief, weigh_event
from events.shop.sessions import step
from events.shop.settings import ShopSettings
from events.shop.state import STATE
from events.shop.truth import Observer, Question, Truth
from submissions.metrics import score_lists

# Many categories, many items out of season, and visitors who do everything often.
SETTINGS = ShopSettings(
    train_sessions=3_000, test_sessions=700, n_items=200, category_items=20, newcomer_share=0.5, fading_share=0.6,
    cart=0.4, order_basket=0.05, order_on_return=0.2, resume_intent=0.5, substitutes=6, accessories=4,
)  # fmt: skip
MINUTE, HOUR = 60_000, 3_600_000

Weights = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def observer() -> Observer:
    return Observer(SETTINGS)


def replayed(observer: Truth, session: int, cut: int) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int64]]:
    shop, states, ts = observer.shop, np.zeros(1, STATE), np.empty(STATE["items"].shape[0], np.int64)
    assert replay(shop.world, shop.habits, states[0], shop.settings.seed, shop.clock_seed, shop.frame, session, cut, ts)
    return states, ts


def one_cell(observer: Observer, key: tuple[int, ...], level: int, rate: int, weight: float = 1.0) -> Belief:
    belief = new_belief(observer.shop.habits.level_cdf.size, observer.tables.buyers.size)
    belief.counts[0] = 1
    belief.keys[0, 0] = key
    belief.weights[0, 0, level, rate] = weight
    return belief


def next_weights(
    observer: Observer, belief: Belief, seen: npt.NDArray[np.void], item: int, kind: int, gap: int
) -> dict[tuple[int, ...], Weights]:
    """Every hypothesis that the event leads to, with its joint weights [levels, rates]."""
    weigh_event(observer.shop.world, observer.shop.habits, observer.tables, seen[0], item, kind, gap, belief)
    return {tuple(belief.keys[1, h].tolist()): belief.weights[1, h].copy() for h in range(belief.counts[1])}


def last_types(observer: Observer) -> dict[tuple[int, bool, bool], tuple[int, int]]:
    """A (session, cut) for each: type of the last event, whether the basket holds items, whether a visit has ended."""
    chunk = observer.shop.walk(0, 400)
    found: dict[tuple[int, bool, bool], tuple[int, int]] = {}
    for session in range(400):
        size = int(chunk.offsets[session + 1] - chunk.offsets[session])
        for cut in (2, 4, 7):
            if size > cut:
                state = replayed(observer, session, cut)[0][0]
                end = int(state["end"]) - int(state["clock"]) > 15 * 24 * HOUR
                case = (int(state["types"][cut - 1]), bool(state["open"] > 0), bool(state["visits"] > 0))
                if end and case not in found:
                    found[case] = (session, cut)
    return found


def test_likelihood_is_the_frequency_of_the_generators_own_draws(observer: Observer) -> None:
    """By type, item, gap (within the visit, or days) and the hidden intents that follow."""
    cases = last_types(observer)
    assert len(cases) > 8
    draws = 4_000
    pauses = np.concatenate([np.arange(30), np.geomspace(30, 20 * MINUTE, 50).astype(np.int64)])
    days = (np.arange(0, 14 * 24, 3) * HOUR + 2 * HOUR).astype(np.int64)
    compared = 0
    for session, cut in cases.values():
        states, _ = replayed(observer, session, cut)
        state, rate = states[0], observer.tables.buyers.size // 2
        state["buyer"] = observer.tables.buyers[rate]
        key = (int(state["intent"]), int(state["intent_before"]), int(state["visits"] > 0), 0)
        counts: Counter[tuple[int, ...]] = Counter()
        for stream in range(1, draws + 1):
            after = states.copy()
            after[0]["stream"] = stream
            if step_once(observer, after):
                s = after[0]
                gap = int(s["clock"]) - int(state["clock"])
                late = 1 if gap >= HOUR else 0
                if gap >= (14 * 24 * HOUR if late else 20 * MINUTE):
                    continue
                here = (int(s["types"][cut]), int(s["items"][cut]), late, int(s["intent"]), int(s["intent_before"]))
                counts[here] += 1
        events = {event[:3] for event, n in counts.items() if n >= 25}
        for kind, item, late in events:
            grid = days if late else pauses
            chances: dict[tuple[int, int], list[float]] = {}
            for g, gap in enumerate(grid.tolist()):
                belief = one_cell(observer, key, int(state["level"]), rate)
                for after_key, weights in next_weights(observer, belief, states, item, kind, gap).items():
                    chances.setdefault(after_key[:2], [0.0] * grid.size)[g] += float(weights.sum())
            for pair, density in chances.items():
                expected = draws * float(np.trapezoid(density, grid))
                if not late:
                    expected += draws * density[0] / 2  # a sum over milliseconds: the first one is whole
                happened = counts[kind, item, late, *pair]
                assert abs(happened - expected) < 4.5 * expected**0.5 + 0.04 * expected + 1, (kind, item, late, pair)
                compared += 1
    assert compared > 60


def step_once(observer: Truth, states: npt.NDArray[np.void]) -> bool:
    return bool(step(observer.shop.world, observer.shop.habits, states[0]))


def test_filter_is_the_sum_over_all_paths() -> None:
    """Against following every single path on its own, nothing merged, nothing dropped."""
    observer = Observer(SETTINGS.model_copy(update={"buyer_spread": 0.0}))
    shop, levels = observer.shop, observer.shop.habits.level_cdf.size
    shares = np.diff(shop.habits.level_cdf, prepend=0.0)
    lengths = np.diff(shop.walk(0, 60).offsets)
    for session in np.flatnonzero(lengths >= 6)[:12].tolist():
        cut = 6
        states, ts = replayed(observer, session, cut)
        items, types = states[0]["items"][:cut].copy(), states[0]["types"][:cut].copy()
        first = int(shop.world.category[items[0]])
        paths = [((first, first, 0, 0), level, float(shares[level])) for level in range(levels)]
        for event in range(1, cut):
            seen, _ = replayed(observer, session, event)
            gap = int(ts[event] - ts[event - 1])
            following = []
            for key, level, weight in paths:
                belief = one_cell(observer, key, level, 0, weight)
                arrived = next_weights(observer, belief, seen, int(items[event]), int(types[event]), gap)
                following += [(to, level, float(w[level, 0])) for to, w in arrived.items()]
            paths = following
        total = sum(weight for _, _, weight in paths)
        expected: dict[tuple[int, ...], Weights] = defaultdict(lambda: np.zeros(levels))
        for key, level, weight in paths:
            expected[key][level] += weight / total
        keys, weights, evidence = observer.belief(session, cut)
        assert evidence == pytest.approx(np.log(total))
        found = {tuple(key): w[:, 0] for key, w in zip(keys.tolist(), weights, strict=True)}
        for key in expected.keys() | found.keys():
            assert found.get(key, np.zeros(levels)) == pytest.approx(expected[key], abs=1e-7)


def test_posterior_is_honest(observer: Observer) -> None:
    """What it gives the true level, intent and visit is, on average, what comes true."""
    lengths = np.diff(observer.shop.walk(0, 2_500).offsets)
    gaps = []
    for session in np.flatnonzero(lengths >= 5).tolist():
        state = replayed(observer, session, 5)[0][0]
        keys, weights, _ = observer.belief(session, 5)
        assert weights.sum() == pytest.approx(1)
        by_level = weights.sum(axis=(0, 2))
        by_key = weights.sum(axis=(1, 2))
        level = np.arange(by_level.size) == int(state["level"])
        likeliest = keys[by_key.argmax(), 0]
        rates = np.log(observer.tables.buyers[None, :] * SETTINGS.satisfied ** keys[:, 3:4])
        rate = float((weights.sum(axis=1) * rates).sum())
        gaps.append(
            [
                *(by_level - level),
                by_key[keys[:, 0] == likeliest].sum() - (likeliest == state["intent"]),
                by_key[keys[:, 2] == 1].sum() - (state["visits"] > 0),
                rate - np.log(float(state["buyer"])),
            ]
        )
    table = np.array(gaps)
    assert len(table) > 1_000
    assert (np.abs(table.sum(axis=0)) < 4 * np.sqrt((table**2).sum(axis=0)) + 1e-6).all()


def test_nothing_hidden_is_the_truth() -> None:
    """One level, equal visitors, no looking back and no resumed intent: the visible events tell the whole state."""
    settings = SETTINGS.model_copy(
        update={
            "level_shares": (1.0,), "visit_end": (0.2,), "visit_return": (0.5,), "buyer_spread": 0.0, "repeat": 0.0,
            "revisit": 0.0, "revisit_on_return": 0.0, "resume_intent": 0.0, "order_later": 1.0,
        }
    )  # fmt: skip
    observer, truth = Observer(settings), Truth(settings)
    chunk = truth.shop.walk(3_000, 3_100)
    for trust in (0.0, 50.0):
        question = Question(np.arange(3_000, 3_100), truth.shop.cuts(chunk), 30, trust=trust)
        seen, known = observer.answer(question)[0], truth.answer(question)[0]
        for target in TARGETS:
            assert np.array_equal(seen[target].aids, known[target].aids)
            assert seen[target].scores == pytest.approx(known[target].scores, rel=1e-5)


@pytest.fixture(scope="module")
def asked(observer: Observer) -> Question:
    chunk = observer.shop.walk(3_000, 3_700)
    cuts = observer.shop.cuts(chunk)
    return Question(np.arange(3_000, 3_700), cuts, 60, k=20, trust=50.0)


def test_oracles_keep_their_order(observer: Observer, asked: Question) -> None:
    """Who knows the state does at least as well as who sees the events; another session's list is far worse."""
    chunk = observer.shop.walk(3_000, 3_700)
    labels = labels_after(chunk.offsets[:-1] + asked.cuts, chunk.offsets[1:], chunk.aids, chunk.types, 0)
    seen, true = observer.answer(asked)[0], Truth(SETTINGS).answer(asked)[0]
    others = {target: one.take(np.roll(np.arange(700), 1)) for target, one in seen.items()}
    observable, known, chance = (score_lists(lists, labels).total or 0.0 for lists in (seen, true, others))
    assert known > observable - 0.01
    assert chance < observable - 0.2


def test_same_for_any_number_of_threads(observer: Observer, asked: Question) -> None:
    part = asked.part(0, 150)
    one, two = (observer.answer(part, threads)[0] for threads in (1, 2))
    for target in TARGETS:
        assert np.array_equal(one[target].aids, two[target].aids)
        assert np.array_equal(one[target].scores, two[target].scores)


def test_candidates_and_known_items(observer: Observer) -> None:
    """In the pool, the same probabilities of fewer items; an unknown item is never listed."""
    sessions, cuts = np.arange(3_000, 3_040), np.ones(40, np.int64)
    known = np.ones(SETTINGS.items, np.bool_)
    known[::7] = False
    pool = np.tile(np.arange(0, SETTINGS.items, 3, dtype=np.int32), 40)
    offsets = np.arange(41) * (pool.size // 40)
    question = Question(
        sessions, cuts, 40, k=SETTINGS.items, known=known, trust=5.0, pool_offsets=offsets, pool_aids=pool
    )
    everywhere, in_pool = observer.answer(question)
    for target in TARGETS:
        for s in range(40):
            aids, scores = everywhere[target].row(s)
            assert known[aids].all()
            inside = np.isin(aids, pool[: pool.size // 40])
            assert np.array_equal(in_pool[target].row(s)[0], aids[inside])
            assert np.array_equal(in_pool[target].row(s)[1], scores[inside])


def test_chances_help_few_futures_and_fade_with_many(observer: Observer, asked: Question) -> None:
    """Against the shares of many futures: with few, the error falls; with many, there is hardly a difference."""
    sessions, cuts = asked.sessions[:40], asked.cuts[:40]

    def dense(lists: Lists) -> Weights:
        out = np.zeros((40, SETTINGS.items))
        out[np.repeat(np.arange(40), lists.lengths), lists.aids] = lists.scores
        return out

    def answer(futures: int, trust: float) -> list[Weights]:
        question = Question(sessions, cuts, futures, k=SETTINGS.items, trust=trust)
        found = observer.answer(question)[0]
        return [dense(found[target]) for target in TARGETS]

    reference, many = answer(2_000, 0.0), answer(2_000, 50.0)
    counted, helped = answer(40, 0.0), answer(40, 50.0)
    for t in range(len(TARGETS)):
        error = np.square(counted[t] - reference[t]).sum()
        assert np.square(helped[t] - reference[t]).sum() < 0.7 * error
        assert np.square(many[t] - reference[t]).sum() < 0.05 * error
