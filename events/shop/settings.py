"""Settings of the synthetic shop: its size, its catalogue, its visitors. The defaults are calibrated, together."""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

from events.columns import WEEK

FULL_TRAIN_SESSIONS: Final = 12_899_779
FULL_TEST_SESSIONS: Final = 1_671_803
FULL_ITEMS: Final = 1_855_603
"""Sizes of the OTTO log; smaller shops keep its proportions (one item for every 117 events)."""

LOG_START: Final = 1_659_304_800
"""Unix seconds: 2022-07-31 22:00 UTC, midnight in the shop's time zone."""


class ShopSettings(BaseModel):
    """What the shop is drawn from. Shares and chances lie in [0, 1]; a chance is per event unless said otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # --- size
    seed: int = Field(default=42, ge=0, description="seed of everything")
    train_sessions: int = Field(default=300_000, ge=1, description="sessions of train.parquet")
    test_sessions: int | None = Field(default=None, ge=0, description="sessions of test.parquet; none: OTTO's share")
    n_items: int | None = Field(default=None, ge=50, description="items of the catalogue; none: events / 117")
    weeks: int = Field(default=4, ge=1, description="weeks of train; the test sessions follow in one more week")

    # --- catalogue
    popularity_normal: tuple[float, ...] = Field(
        default=(-5.5, -2.0, -1.0, 0.0, 0.674, 1.282, 1.645, 2.33, 3.09, 5.0),
        description="knots of the popularity curve: standard normal quantiles",
    )
    popularity_log: tuple[float, ...] = Field(
        default=(0.8, 1.1, 1.95, 2.78, 3.97, 5.17, 5.87, 7.25, 9.7, 12.22),
        description="natural logarithm of an item's expected events at the knots",
    )
    popularity_cap: float = Field(default=0.0016, gt=0, description="no item is meant to exceed this share of events")
    category_items: int = Field(default=400, ge=2, description="mean number of items in a category")
    category_spread: float = Field(default=0.7, ge=0, description="log-normal spread of the categories' sizes")
    substitutes: int = Field(default=24, ge=1, description="items of its own category that an item leads to")
    accessories: int = Field(default=8, ge=1, description="items of other categories that an item leads to")
    substitute_decay: float = Field(default=0.6, ge=0, description="the k-th substitute weighs (k + 1) ** -decay")
    accessory_decay: float = Field(default=0.9, ge=0, description="the k-th accessory weighs (k + 1) ** -decay")
    affinity_reach: float = Field(default=1.2, gt=0, description="log spread of popularity rank among related items")
    newcomer_share: float = Field(default=0.22, ge=0, le=1, description="items that appear during the weeks of train")
    fading_share: float = Field(default=0.25, ge=0, le=1, description="items that fade at some time of the log")
    rise_days: float = Field(default=2.0, gt=0, description="days a newcomer takes to full demand")
    fade_days: float = Field(default=3.0, gt=0, description="days in which a fading item's demand falls by e")
    category_conversion_spread: float = Field(default=0.6, ge=0, description="log spread of cart rates of categories")
    item_conversion_spread: float = Field(default=0.6, ge=0, description="log spread of cart rates in a category")

    # --- arrivals
    weekly_decline: float = Field(default=0.335, ge=0, description="new sessions fall by exp(-decline) a week")
    night_share: float = Field(default=0.12, gt=0, le=1, description="demand in the deepest night over the best hour")

    # --- engagement (one entry a level)
    level_shares: tuple[float, ...] = Field(
        default=(0.3375, 0.0841, 0.3527, 0.1683, 0.0574),
        description="sessions of each engagement level",
    )
    visit_end: tuple[float, ...] = Field(
        default=(0.5041, 0.2032, 0.4027, 0.1149, 0.0312), description="chance that the visit ends after an event"
    )
    visit_return: tuple[float, ...] = Field(
        default=(0.0509, 0.7876, 0.7692, 0.8836, 0.9899), description="chance that another visit follows an ended one"
    )
    same_day: float = Field(default=0.16, ge=0, le=1, description="chance that a visitor comes back after hours only")
    same_day_hours: float = Field(default=4.0, gt=0, description="median hours until then")
    visit_gap_hours: float = Field(default=105.7998, gt=0, description="median hours between visits otherwise")
    visit_gap_spread: float = Field(default=0.6758, ge=0, description="log spread of the time between visits")
    browse_gap_seconds: float = Field(default=32.0, gt=0, description="median seconds between clicks of a visit")
    browse_gap_spread: float = Field(default=1.2, ge=0, description="log spread of the time between clicks")
    order_gap_ms: float = Field(default=2.0, ge=0, description="mean milliseconds between the items of one order")
    leave_after_cart: float = Field(default=0.0897, ge=0, le=1, description="factor on visit_end right after a cart")
    leave_after_order: float = Field(default=0.6725, ge=0, le=1, description="chance that a visit ends with its order")
    return_after_order: float = Field(default=0.8585, ge=0, le=1, description="factor on visit_return after an order")

    # --- clicks
    repeat: float = Field(default=0.1, ge=0, le=1, description="chance of a click on the same item again")
    revisit: float = Field(default=0.19, ge=0, le=1, description="chance of a click on an own earlier item")
    revisit_on_return: float = Field(default=0.6, ge=0, le=1, description="the same, at the start of a later visit")
    revisit_recency: float = Field(default=2.0, ge=1, description="power on a uniform draw of how far back one looks")
    revisit_buys: float = Field(default=0.4, ge=0, le=1, description="chance to look again if the item was not carted")
    wander: float = Field(default=0.45, ge=0, le=1, description="chance that a new item is related to an own one")
    wander_back: float = Field(default=0.3, ge=0, le=1, description="chance that it is not the latest own item")
    browse: float = Field(default=0.5, ge=0, le=1, description="chance that another new item is of the intent")
    accessory_after_click: float = Field(default=0.15, ge=0, le=1, description="share of accessories after a click")
    accessory_after_buy: float = Field(
        default=0.7, ge=0, le=1, description="share of accessories after a cart or order"
    )
    resume_intent: float = Field(default=0.3, ge=0, le=1, description="chance to go back to the intent before")

    # --- carts and orders
    cart: float = Field(default=0.1874, ge=0, le=1, description="mean chance of a cart after a click")
    cart_seen: float = Field(default=0.42, ge=0, description="factor if the item was seen before")
    cart_again: float = Field(default=0.1024, ge=0, description="factor if it lies in the basket")
    cart_more: float = Field(default=0.1515, ge=0, le=1, description="chance of one more piece right after a cart")
    rebuy: float = Field(default=1.5, ge=0, description="factor if it was ordered before")
    buyer_spread: float = Field(default=0.9961, ge=0, description="log spread of cart rates of visitors")
    satisfied: float = Field(
        default=0.6656, ge=0, le=1, description="factor on the visitor's cart rate after each order"
    )
    order_after_cart: float = Field(default=0.2837, ge=0, le=1, description="chance of an order right after a cart")
    order_later: float = Field(
        default=0.36, ge=0, le=1, description="factor on it in later visits: who waits, hesitates"
    )
    order_basket: float = Field(default=0.0038, ge=0, le=1, description="chance of an order after a click")
    order_on_return: float = Field(default=0.0277, ge=0, le=1, description="chance of an order first in a later visit")
    order_more: float = Field(
        default=0.6479, ge=0, le=1, description="chance that an order takes one more of the basket"
    )

    @model_validator(mode="after")
    def _lengths_agree(self) -> "ShopSettings":
        if len(self.popularity_normal) != len(self.popularity_log):
            raise ValueError("popularity_normal and popularity_log must be equally long")
        if list(self.popularity_normal) != sorted(self.popularity_normal):
            raise ValueError("popularity_normal must ascend")
        if not len(self.level_shares) == len(self.visit_end) == len(self.visit_return) > 0:
            raise ValueError("level_shares, visit_end and visit_return must be equally long")
        return self

    @property
    def items(self) -> int:
        """Number of items of the catalogue."""
        if self.n_items is not None:
            return self.n_items
        return max(50, round(self.train_sessions * FULL_ITEMS / FULL_TRAIN_SESSIONS))

    @property
    def tests(self) -> int:
        """Number of test sessions."""
        if self.test_sessions is not None:
            return self.test_sessions
        return round(self.train_sessions * FULL_TEST_SESSIONS / FULL_TRAIN_SESSIONS)

    @property
    def start_ms(self) -> int:
        """Unix milliseconds of the log's begin."""
        return LOG_START * 1000

    @property
    def train_end_ms(self) -> int:
        """Unix milliseconds at which train ends and the test week begins."""
        return self.start_ms + self.weeks * WEEK * 1000

    @property
    def test_end_ms(self) -> int:
        """Unix milliseconds at which the test week ends."""
        return self.train_end_ms + WEEK * 1000
