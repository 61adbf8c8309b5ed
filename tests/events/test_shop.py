"""The synthetic shop behaves like OTTO's log: sizes, shares, rhythm, affinities."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from pydantic import ValidationError

from events.shop.generate import cut_tables, log_table
from events.shop.settings import ShopSettings
from events.shop.walk import Chunk, Shop

SETTINGS = ShopSettings()
SESSIONS = SETTINGS.train_sessions
HOUR_MS = 3_600_000
FROZEN = "0f145a8e387e1809e2efb23684ed96e4e0efe343b47cb9e5c1b9afd2ebceaafc"


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop.of(SETTINGS)


@pytest.fixture(scope="module")
def train(shop: Shop) -> Chunk:
    """The default shop's train sessions, walked by two threads."""
    with ThreadPoolExecutor(2) as pool:
        halves = list(pool.map(shop.walk, (0, SESSIONS // 2), (SESSIONS // 2, SESSIONS)))
    offsets = np.append(halves[0].offsets[:-1], halves[1].offsets + halves[0].offsets[-1])
    columns = (np.concatenate([getattr(half, name) for half in halves]) for name in ("aids", "ts", "types"))
    return Chunk(0, offsets, *columns)


@pytest.fixture(scope="module")
def test(shop: Shop) -> Chunk:
    return shop.walk(SESSIONS, SESSIONS + shop.settings.tests)


def relative(measured: object, target: object) -> float:
    return float(np.max(np.abs(np.log(np.asarray(measured, float) / np.asarray(target, float)))))


def test_the_default_shop_is_frozen(shop: Shop, train: Chunk, test: Chunk) -> None:
    """Every event and label of the default shop. A change is news: it needs a line in the changelog."""
    digest = hashlib.sha256()
    for table in (log_table(train), *cut_tables(shop, test)):
        for name in table.column_names:
            digest.update(name.encode() + table.column(name).to_numpy().tobytes())
    assert digest.hexdigest() == FROZEN


def test_session_lengths(train: Chunk, test: Chunk) -> None:
    lengths = np.diff(train.offsets)
    assert lengths.min() == 2
    assert lengths.max() == 500
    assert relative([lengths.mean(), lengths.std()], [16.8, 33.6]) < 0.1
    assert relative(np.quantile(lengths, [0.5, 0.75, 0.9, 0.95]), [6, 15, 39, 68]) < 0.1
    lengths = np.diff(test.offsets)
    assert lengths.min() == 2
    assert relative(lengths.mean(), 8.3) < 0.1
    assert relative(np.quantile(lengths, [0.5, 0.75, 0.9, 0.95]), [4, 8, 18, 28]) < 0.1


def test_type_shares(train: Chunk, test: Chunk) -> None:
    for chunk, target in ((train, [0.8985, 0.0780, 0.0235]), (test, [0.8909, 0.0834, 0.0257])):
        assert relative(np.bincount(chunk.types, minlength=3) / chunk.types.size, target) < 0.1


def test_labels_per_test_session(shop: Shop, test: Chunk) -> None:
    """As in the last week of train: a click nearly always, a cart in every third session, an order in every sixth."""
    labels = cut_tables(shop, test)[1].to_pandas()
    counts = labels.groupby(["session", "type"]).size().clip(upper=20).groupby("type").sum()
    assert relative(counts / shop.settings.tests, [0.975, 0.320, 0.174]) < 0.06


def test_item_popularity(shop: Shop, train: Chunk) -> None:
    """A small shop lacks the largest best sellers, so that its other items sell more: up to 20 % at this size."""
    counts = np.bincount(train.aids, minlength=shop.settings.items)
    assert counts.size == shop.settings.items  # no id beyond the catalogue
    assert counts.max() < 0.005 * train.aids.size
    seen = counts[counts > 0]
    assert relative(train.aids.size / seen.size, 116.8) < 0.1
    quantiles = np.quantile(seen, [0.5, 0.75, 0.9, 0.95])
    assert relative(quantiles, [20, 56, 183, 398]) < 0.2
    assert (seen >= 3).mean() > 0.95


@pytest.mark.parametrize("seed", [42, 1])
def test_no_best_seller_rules_a_small_shop(seed: int) -> None:
    shop = Shop.of(ShopSettings(train_sessions=10_000, seed=seed))
    chunk = shop.walk(0, 10_000)
    assert np.bincount(chunk.aids).max() < 0.005 * chunk.aids.size


def test_size_of_the_catalogue() -> None:
    assert ShopSettings(train_sessions=12_899_779).items == 1_855_603
    assert ShopSettings(train_sessions=12_899_779).tests == 1_671_803
    assert ShopSettings(train_sessions=100_000).items == 14_385
    assert ShopSettings(train_sessions=100_000, n_items=77, test_sessions=5).items == 77
    assert ShopSettings(train_sessions=100_000, n_items=77, test_sessions=5).tests == 5


def test_ids_say_nothing_about_popularity(shop: Shop, train: Chunk) -> None:
    counts = np.bincount(train.aids, minlength=shop.settings.items)
    ranks = np.argsort(np.argsort(counts))
    assert abs(np.corrcoef(ranks, np.arange(ranks.size))[0, 1]) < 0.05


def test_times_stay_in_their_weeks_and_never_go_back(shop: Shop, train: Chunk, test: Chunk) -> None:
    settings = shop.settings
    for chunk, begin, end in (
        (train, settings.start_ms, settings.train_end_ms),
        (test, settings.train_end_ms, settings.test_end_ms),
    ):
        assert chunk.ts.min() >= begin
        assert chunk.ts.max() < end
        inside = np.ones(chunk.ts.size, bool)
        inside[chunk.offsets[:-1]] = False
        assert (np.diff(chunk.ts, prepend=0)[inside] >= 0).all()
        starts = chunk.ts[chunk.offsets[:-1]]
        assert (np.diff(starts) >= 0).all()  # ids ascend with the start
    assert np.abs(np.bincount(train.ts % 1000, minlength=1000) / (train.ts.size / 1000) - 1).mean() < 0.05


def test_arrivals_decline_and_follow_the_day(shop: Shop, train: Chunk) -> None:
    starts = train.ts[train.offsets[:-1]] - shop.settings.start_ms
    weeks = np.bincount(starts // (7 * 24 * HOUR_MS)) / SESSIONS
    assert abs(weeks[-1] - 0.14) < 0.01
    assert (np.diff(weeks) < 0).all()
    for times in (starts, visit_starts(train) - shop.settings.start_ms):
        by_hour = np.bincount(times // HOUR_MS % 24, minlength=24)
        assert by_hour[20] > 4 * by_hour[3]


def visit_starts(chunk: Chunk) -> np.ndarray:
    gaps = np.diff(chunk.ts, prepend=chunk.ts[0])
    gaps[chunk.offsets[:-1]] = 0
    return chunk.ts[gaps > HOUR_MS]


def test_visits_are_hours_to_days_apart(train: Chunk) -> None:
    gaps = np.diff(train.ts, prepend=train.ts[0])
    gaps[train.offsets[:-1]] = 0
    within, between = gaps[(gaps > 0) & (gaps < HOUR_MS)], gaps[gaps > HOUR_MS] / HOUR_MS
    assert 10_000 < np.median(within) < 100_000
    assert (between < 12).mean() > 0.1
    assert (between > 24).mean() > 0.3
    assert (gaps == 0).sum() > train.offsets.size  # items of one order may share a stamp


def test_carts_follow_views_and_orders_follow_carts(train: Chunk) -> None:
    owner = np.repeat(np.arange(train.offsets.size - 1), np.diff(train.offsets)).astype(np.int64)
    pair = owner * 10_000_000 + train.aids
    for later, earlier in ((1, 0), (2, 1)):
        known, place = np.unique(pair[train.types == earlier], return_index=True)
        first = np.flatnonzero(train.types == earlier)[place]
        events = np.flatnonzero(train.types == later)
        where = np.searchsorted(known, pair[events])
        assert (known[np.minimum(where, known.size - 1)] == pair[events]).all()
        assert (first[where] < events).all()


def test_visitors_revisit_and_wander_among_categories(shop: Shop, train: Chunk) -> None:
    category = np.empty(shop.settings.items, np.int64)
    category[shop.world.aids] = shop.world.category
    inside = np.ones(train.aids.size, bool)
    inside[train.offsets[:-1]] = False
    now, before = train.aids[1:][inside[1:]], train.aids[:-1][inside[1:]]
    same_category = (category[now] == category[before]).mean()
    assert 0.4 < same_category < 0.9
    assert (now == before).mean() > 0.1


def test_affinities_are_directed(shop: Shop, train: Chunk) -> None:
    """Where one item leads to another of another category, sessions go that way more often than back."""
    place = np.empty(shop.settings.items, np.int64)
    place[shop.world.aids] = np.arange(shop.settings.items)
    inside = np.ones(train.aids.size, bool)
    inside[train.offsets[:-1]] = False
    x, y = place[train.aids[:-1][inside[1:]]], place[train.aids[1:][inside[1:]]]
    pairs, counts = np.unique(x * shop.settings.items + y, return_counts=True)
    accessories = shop.world.related[:, shop.world.substitute_cdf.size :].astype(np.int64)
    source = np.repeat(np.arange(shop.settings.items), accessories.shape[1])

    def times(from_: np.ndarray, to: np.ndarray) -> int:
        wanted = np.unique(from_ * shop.settings.items + to)
        where = np.minimum(np.searchsorted(pairs, wanted), pairs.size - 1)
        return int(counts[where][pairs[where] == wanted].sum())

    there, back = times(source, accessories.ravel()), times(accessories.ravel(), source)
    assert there > 2 * back > 0


def test_affinities_spread_over_the_categories(shop: Shop) -> None:
    """No category is the accessory of all the others, the smallest one least of all."""
    world = shop.world
    accessories = world.related[:, world.substitute_cdf.size :]
    sizes = np.diff(world.first)
    entering = np.bincount(world.category[accessories.ravel()], minlength=sizes.size) / (sizes * accessories.shape[1])
    assert entering.max() < 8
    assert np.bincount(world.related.ravel(), minlength=shop.settings.items).max() < 0.005 * world.related.shape[0]


def test_items_appear_and_fade(shop: Shop, train: Chunk) -> None:
    day = (train.ts - shop.settings.start_ms) / (24 * HOUR_MS)
    place = np.empty(shop.settings.items, np.int64)
    place[shop.world.aids] = np.arange(shop.settings.items)
    item = place[train.aids]
    new = shop.world.appears > 14
    assert new.mean() > 0.05
    first = np.full(shop.settings.items, 1e9)
    np.minimum.at(first, item, day)
    assert (first[new] >= shop.world.appears[new]).all()
    old = shop.world.fades < 7
    assert old.mean() > 0.02
    early, late = day < 7, day >= 21
    assert old[item[late]].mean() < 0.2 * old[item[early]].mean()


def test_another_seed_is_another_shop() -> None:
    one, other = (Shop.of(ShopSettings(train_sessions=500, seed=seed)) for seed in (1, 2))
    assert not np.array_equal(one.walk(0, 500).ts[:1000], other.walk(0, 500).ts[:1000])
    assert not np.array_equal(one.world.related, other.world.related)


def test_a_session_does_not_depend_on_its_neighbours(shop: Shop, train: Chunk) -> None:
    alone = shop.walk(1234, 1235)
    span = slice(train.offsets[1234], train.offsets[1235])
    assert np.array_equal(alone.aids, train.aids[span])
    assert np.array_equal(alone.ts, train.ts[span])
    assert np.array_equal(alone.types, train.types[span])
    assert log_table(alone).column("session").to_pylist() == [1234] * alone.aids.size


def test_settings_refuse_what_does_not_fit() -> None:
    with pytest.raises(ValidationError, match="equally long"):
        ShopSettings(visit_end=(0.5,))
    with pytest.raises(ValidationError, match="ascend"):
        ShopSettings(popularity_normal=(1.0, 0.0), popularity_log=(1.0, 2.0))
    with pytest.raises(ValidationError, match="extra"):
        ShopSettings(sead=1)  # type: ignore[call-arg]
