"""The shop's names of event types, and ours."""

import polars as pl

from events.columns import CARTS, CLICKS, ORDERS, TARGETS
from events.settings import DataSettings

DROPPED = -1
"""Code of a type that is left out."""

USUAL = {
    **dict.fromkeys(("0", "click", "clicks", "view", "views", "pageview", "detail", "product_view"), CLICKS),
    **dict.fromkeys(("1", "cart", "carts", "addtocart", "add_to_cart", "basket", "add"), CARTS),
    **dict.fromkeys(("2", "order", "orders", "buy", "buys", "purchase", "purchases", "transaction"), ORDERS),
}
"""Names that ``data.types = "auto"`` knows, in lower case."""


def type_codes(values: pl.Series, data: DataSettings) -> tuple[pl.Series, str, str | None]:
    """Int8 codes of types, null where a name is unknown, ``DROPPED`` where it is to be left out; the remedy for unknown
    names; and what was found out.

    values : text or numbers
    """
    text = values.cast(pl.String)
    dropped = dict.fromkeys(data.drop_types, DROPPED)
    if data.types != "auto":
        codes = {theirs: TARGETS.index(ours) for theirs, ours in data.types.items()} | dropped
        known = text.replace_strict(codes, default=None, return_dtype=pl.Int8)
        return known, f"use {', '.join(codes)}, or map the name in data.types", None
    names = text.drop_nulls().unique().sort().to_list()
    found = {name: USUAL[name.strip().lower()] for name in names if name.strip().lower() in USUAL} | dropped
    known = text.replace_strict(found, default=None, return_dtype=pl.Int8)
    said = ", ".join(f"{name} as {TARGETS[found[name]]}" for name in names if found.get(name, DROPPED) != DROPPED)
    remedy = "map the name in data.types, such as types = { look = 'clicks' }, or leave it out with data.drop_types"
    return known, remedy, f"types are read: {said}" if said else None
