"""What a shop calls its items: name, brand and price, where ``prepare`` wrote them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import polars as pl

from events.index import IdIndex
from scripts.demo.typed import shortened

COLUMNS: Final[tuple[str, ...]] = ("text", "brand", "category", "price")
MOST_NAME: Final = 60
"""Characters of a name."""


@dataclass(frozen=True, slots=True)
class Item:
    """An item as it is shown: its id, its name (or nothing) and what else is known."""

    aid: Any
    name: str = ""
    more: str = ""

    @property
    def label(self) -> str:
        """Name and id in a line.

        >>> Item(12, "Red shoe").label, Item(12).label
        ('Red shoe (12)', '12')
        """
        return f"{self.name} ({self.aid})" if self.name else str(self.aid)


@dataclass(frozen=True, slots=True)
class Names:
    """Names of a run's items.

    index : the item index
    known : of each item, by dense row, those of ``COLUMNS`` that there are
    """

    index: IdIndex
    known: pl.DataFrame

    @classmethod
    def open(cls, run: Path) -> Self:
        """Read the items' table of a run, which must be there."""
        path = run / "prepared" / "items.parquet"
        there = pl.read_parquet_schema(path)
        return cls(IdIndex.load(path), pl.read_parquet(path, columns=[name for name in COLUMNS if name in there]))

    def of(self, aids: Iterable[Any]) -> dict[Any, Item]:
        """Each of these items as it is shown; of those that the run does not know the id alone."""
        wanted = list(dict.fromkeys(aids))
        if not self.known.width:
            return {aid: Item(aid) for aid in wanted}
        series = pl.Series(wanted, dtype=self.index.ids.dtype, strict=False)
        rows = self.index.rows(series.fill_null(0 if self.index.is_integer else ""))
        found = self.known[rows.clip(0).tolist()].to_dicts()
        return {
            aid: _item(aid, facts) if row >= 0 and there else Item(aid)
            for aid, row, facts, there in zip(wanted, rows.tolist(), found, series.is_not_null(), strict=True)
        }


def _item(aid: Any, facts: dict[str, Any]) -> Item:
    path = facts.get("category") or []
    leaf = path if isinstance(path, str) else next((str(one) for one in reversed(path) if one), "")
    brand, price = facts.get("brand") or "", facts.get("price")
    name = shortened(facts.get("text") or leaf, MOST_NAME)
    said = [brand, "" if leaf == name else leaf, "" if price is None or price != price else f"{price:.2f}"]
    return Item(aid, name, ", ".join(one for one in said if one))
