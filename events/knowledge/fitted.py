"""What is known of the items and sessions of a pass: plain arrays, fitted on the pass's log, saved and mapped again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from events.arrays import F32, I32, I64, Flags
from events.files import load_array, need_array, read_json, save_arrays, write_json
from events.knowledge.reading import NEVER, UNKNOWN, ItemColumns, UserColumns
from events.knowledge.settings import KnowledgeSettings
from events.knowledge.text import text_vectors
from events.log import SessionLog

TEXT = "text"


@dataclass(frozen=True, slots=True)
class Users:
    """What is known of the S sessions of a pass, by ``SessionLog.sessions``.

    numeric     : float32[S, A], NaN where unknown;  numeric_names : A
    categorical : int32[S, B] rank of the category by its fitted sessions, 0 the most frequent; -1 where unknown or
                  without a fitted session;  categorical_names : B
    """

    numeric: F32
    categorical: I32
    numeric_names: tuple[str, ...]
    categorical_names: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of both, numeric ones first."""
        return self.numeric_names + self.categorical_names


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known of n items and of the sessions of a pass; ``None`` or empty where the shop has nothing of the kind.

    fitted    : bool[n] items with an event in the fit
    cold      : bool[n] items without one that may be proposed by what is known of them
    leaf, parent, brand, price, published : see ``events.knowledge.reading.ItemColumns``
    age       : float32[n] days from publication to the end of the fit, not below 0, NaN where unknown
    spaces    : name to float32[n, d] of length 1, 0 where unknown: ``text``, and what the user supplies
    late      : items published after the end of the fit
    """

    fitted: Flags
    cold: Flags
    leaf: I32 | None = None
    parent: I32 | None = None
    brand: I32 | None = None
    price: F32 | None = None
    published: I64 | None = None
    age: F32 | None = None
    spaces: Mapping[str, F32] = field(default_factory=dict)
    users: Users | None = None
    late: int = 0

    @property
    def n_items(self) -> int:
        """Rows of the item index."""
        return int(self.fitted.size)

    @property
    def codes(self) -> dict[str, I32]:
        """The codes that are there: of ``leaf``, ``parent`` and ``brand``."""
        there = {"leaf": self.leaf, "parent": self.parent, "brand": self.brand}
        return {name: codes for name, codes in there.items() if codes is not None}

    @property
    def lacks(self) -> tuple[str, ...]:
        """What of the item table and of the sessions there is nothing of."""
        there = {
            "category": self.leaf,
            "brand": self.brand,
            "price": self.price,
            "published": self.published,
            TEXT: self.spaces.get(TEXT),
            "users": self.users,
        }
        return tuple(name for name, one in there.items() if one is None)

    def save(self, folder: Path) -> None:
        """Write the arrays into an existing folder."""
        save_arrays(
            folder,
            fitted=self.fitted,
            cold=self.cold,
            price=self.price,
            published=self.published,
            age=self.age,
            **self.codes,
            **{f"space_{name}": space for name, space in self.spaces.items()},
        )
        meta: dict[str, object] = {"spaces": list(self.spaces), "late": self.late}
        if self.users is not None:
            save_arrays(folder, users_numeric=self.users.numeric, users_categorical=self.users.categorical)
            meta["users"] = [list(self.users.numeric_names), list(self.users.categorical_names)]
        write_json(folder / "knowledge.json", meta)

    @classmethod
    def load(cls, folder: Path) -> "Knowledge":
        """Open what :meth:`save` wrote, memory-mapped and read-only.

        Raises
        ------
        InputError
            If a file is missing.
        """
        meta = read_json(folder / "knowledge.json")
        users = None
        if "users" in meta:
            numeric, categorical = need_array(folder, "users_numeric"), need_array(folder, "users_categorical")
            users = Users(numeric, categorical, tuple(meta["users"][0]), tuple(meta["users"][1]))
        return cls(
            fitted=need_array(folder, "fitted"),
            cold=need_array(folder, "cold"),
            leaf=load_array(folder, "leaf"),
            parent=load_array(folder, "parent"),
            brand=load_array(folder, "brand"),
            price=load_array(folder, "price"),
            published=load_array(folder, "published"),
            age=load_array(folder, "age"),
            spaces={name: need_array(folder, f"space_{name}") for name in meta["spaces"]},
            users=users,
            late=meta["late"],
        )


def fit_knowledge(
    items: ItemColumns,
    users: UserColumns | None,
    vectors: Mapping[str, F32],
    log: SessionLog,
    until: int | None,
    settings: KnowledgeSettings,
    seed: int = 0,
) -> Knowledge:
    """What is known, for a pass.

    vectors : the user's, name to float32[n_items, d] of length 1
    log     : what may be fitted on: only items and sessions in it weigh in the text's weights and axes and in the
              order of categories
    until   : unix seconds of the end of the fit, ``None`` without time
    """
    n = log.n_items
    fitted = np.zeros(n, np.bool_)
    fitted[log.aids] = True
    spaces = dict(vectors)
    if items.text is not None:
        space = text_vectors(items.text, fitted, settings.text_dim, seed)
        spaces = {TEXT: space} | spaces if space.any() else spaces
    age, future = None, np.zeros(n, np.bool_)
    if items.published is not None and until is not None:
        known = items.published != NEVER
        future = known & (items.published > until)
        days = (until - np.where(known, items.published, until)) / 86_400
        age = np.where(known, np.maximum(days, 0.0), np.nan).astype(np.float32)
    described = np.zeros(n, np.bool_)
    for codes in (items.leaf, items.parent, items.brand):
        if codes is not None:
            described |= codes != UNKNOWN
    for space in spaces.values():
        described |= space.any(axis=1)
    cold = described & ~fitted & ~future if settings.cold else np.zeros(n, np.bool_)
    return Knowledge(
        fitted,
        cold,
        fitted_first(items.leaf, fitted),
        fitted_first(items.parent, fitted),
        fitted_first(items.brand, fitted),
        items.price,
        items.published,
        age,
        spaces,
        None if users is None else _fit_users(users, log),
        int(future.sum()),
    )


def fitted_first(codes: I32 | None, fitted: Flags) -> I32 | None:
    """The codes numbered anew, those of fitted items first: so they do not depend on what other items there are.

    >>> fitted_first(np.array([4, -1, 2, 7], np.int32), np.array([True, True, False, True])).tolist()
    [0, -1, 2, 1]
    """
    if codes is None:
        return None
    first = np.unique(codes[fitted & (codes >= 0)])
    order = np.concatenate([first, np.setdiff1d(codes[codes >= 0], first)])
    numbers = np.empty(int(codes.max(initial=-1)) + 1, np.int32)
    numbers[order] = np.arange(order.size, dtype=np.int32)
    return np.where(codes >= 0, numbers[codes], UNKNOWN).astype(np.int32) if numbers.size else codes


def _fit_users(users: UserColumns, log: SessionLog) -> Users | None:
    sizes = [len(one) for one in users.numeric.values()] + [len(one) for one in users.categorical.values()]
    if not sizes:
        return None
    rows = sizes[0]
    numeric = np.stack([*users.numeric.values()], axis=1) if users.numeric else np.zeros((rows, 0), np.float32)
    ranks = [_by_frequency(names, log.sessions) for names in users.categorical.values()]
    categorical = np.stack(ranks, axis=1) if ranks else np.zeros((rows, 0), np.int32)
    return Users(
        np.ascontiguousarray(numeric, np.float32),
        np.ascontiguousarray(categorical, np.int32),
        tuple(users.numeric),
        tuple(users.categorical),
    )


def _by_frequency(names: pl.Series, sessions: I64) -> I32:
    """int32[S] rank of each name by its fitted sessions, ties by the name; -1 for null and names without one."""
    counted = names.gather(sessions).drop_nulls().alias("name").value_counts()
    order = counted.sort(["count", "name"], descending=[True, False])["name"]
    ranks = pl.DataFrame({"name": order, "rank": np.arange(len(order), dtype=np.int32)})
    joined = names.alias("name").to_frame().join(ranks, on="name", how="left", maintain_order="left")
    return joined["rank"].fill_null(UNKNOWN).to_numpy().astype(np.int32)
