"""The session log as one frozen structure of arrays, cheap to slice by session and ready for numba without a copy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from events.arrays import read_only
from events.errors import InputError
from events.files import load_array, need_array, save_arrays

NEEDS = ("time", "types")
"""What a source, a recipe or a feature may ask of a log (attributes of items and sessions come with their tables)."""


@dataclass(frozen=True, slots=True)
class SessionLog:
    """Events of S sessions, N in all, session after session and in time order.

    sessions : int64[S]   dense row in the session index
    groups   : int64[S]   original session or user; repeats where one session yields several rows. Folds, bootstrap
                          and sampling go by it.
    offsets  : int64[S+1] events of session s are ``offsets[s]:offsets[s+1]``
    aids     : int32[N]   dense row in the item index
    ts       : int32[N]   unix seconds, ascending in a session; ``None`` if the shop has none
    types    : int8[N]    0 clicks, 1 carts, 2 orders; ``None`` if the shop has none (then every event is a click)
    n_items  : rows of the item index

    Its arrays are read-only, of whatever kind they were given.

    >>> log = SessionLog.of([[3, 1], [2]], n_items=4)
    >>> len(log), log.n_events, log.slice(1, 2).aids.tolist()
    (2, 3, [2])
    """

    sessions: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    aids: npt.NDArray[np.int32]
    ts: npt.NDArray[np.int32] | None
    types: npt.NDArray[np.int8] | None
    n_items: int

    def __post_init__(self) -> None:
        size = len(self.offsets) - 1
        if size < 0 or self.sessions.size != size or self.groups.size != size:
            raise ValueError("offsets must be one longer than sessions and groups")
        if int(self.offsets[-1]) - int(self.offsets[0]) != self.aids.size or self.offsets[0] != 0:
            raise ValueError("offsets must run from 0 to the number of events")
        for name, dtype in (("sessions", np.int64), ("groups", np.int64), ("offsets", np.int64), ("aids", np.int32)):
            if getattr(self, name).dtype != dtype:
                raise ValueError(f"{name} must be {np.dtype(dtype)}")
        if self.ts is not None and (self.ts.dtype != np.int32 or self.ts.size != self.aids.size):
            raise ValueError("ts must be int32, one an event")
        if self.types is not None and (self.types.dtype != np.int8 or self.types.size != self.aids.size):
            raise ValueError("types must be int8, one an event")
        for name in ("sessions", "groups", "offsets", "aids", "ts", "types"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, read_only(getattr(self, name)))

    @classmethod
    def of(
        cls,
        aids: list[list[int]],
        ts: list[list[int]] | None = None,
        types: list[list[int]] | None = None,
        n_items: int | None = None,
    ) -> "SessionLog":
        """A log from nested lists, sessions and groups numbered from 0: for examples and tests."""
        offsets = np.zeros(len(aids) + 1, np.int64)
        offsets[1:] = np.cumsum([len(row) for row in aids])
        flat = np.array([aid for row in aids for aid in row], np.int32)
        return cls(
            sessions=np.arange(len(aids), dtype=np.int64),
            groups=np.arange(len(aids), dtype=np.int64),
            offsets=offsets,
            aids=flat,
            ts=None if ts is None else np.array([t for row in ts for t in row], np.int32),
            types=None if types is None else np.array([t for row in types for t in row], np.int8),
            n_items=(int(flat.max(initial=-1)) + 1) if n_items is None else n_items,
        )

    def __len__(self) -> int:
        """Number of sessions S."""
        return self.sessions.size

    @property
    def n_events(self) -> int:
        """Number of events N."""
        return self.aids.size

    @property
    def has_time(self) -> bool:
        """Whether events carry a time."""
        return self.ts is not None

    @property
    def has_types(self) -> bool:
        """Whether events carry a type."""
        return self.types is not None

    @property
    def ts_or_empty(self) -> npt.NDArray[np.int32]:
        """The times as kernels take them: int32[0] if the shop has none."""
        return read_only(np.zeros(0, np.int32)) if self.ts is None else self.ts

    @property
    def types_or_empty(self) -> npt.NDArray[np.int8]:
        """The types likewise: int8[0] if the shop has none."""
        return read_only(np.zeros(0, np.int8)) if self.types is None else self.types

    @property
    def has(self) -> frozenset[str]:
        """What of ``NEEDS`` this log has."""
        return frozenset(name for name, there in (("time", self.has_time), ("types", self.has_types)) if there)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """int64[S] events of each session."""
        return np.diff(self.offsets)

    def slice(self, start: int, stop: int) -> "SessionLog":
        """Sessions ``start:stop``; the event arrays are views."""
        first, last = int(self.offsets[start]), int(self.offsets[stop])
        return SessionLog(
            sessions=self.sessions[start:stop],
            groups=self.groups[start:stop],
            offsets=self.offsets[start : stop + 1] - first,
            aids=self.aids[first:last],
            ts=None if self.ts is None else self.ts[first:last],
            types=None if self.types is None else self.types[first:last],
            n_items=self.n_items,
        )

    def take(self, rows: npt.NDArray[np.int64]) -> "SessionLog":
        """These sessions, in this order (copies)."""
        lengths = self.lengths[rows]
        offsets = np.zeros(rows.size + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        events = np.repeat(self.offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return SessionLog(
            sessions=self.sessions[rows],
            groups=self.groups[rows],
            offsets=offsets,
            aids=self.aids[events],
            ts=None if self.ts is None else self.ts[events],
            types=None if self.types is None else self.types[events],
            n_items=self.n_items,
        )

    def concat(self, other: "SessionLog") -> "SessionLog":
        """The sessions of both logs, this one's first; both must have the same columns and items."""
        if self.has != other.has or self.n_items != other.n_items:
            raise ValueError("the logs differ in their columns or items")
        return SessionLog(
            sessions=np.concatenate([self.sessions, other.sessions]),
            groups=np.concatenate([self.groups, other.groups]),
            offsets=np.concatenate([self.offsets, other.offsets[1:] + self.offsets[-1]]),
            aids=np.concatenate([self.aids, other.aids]),
            ts=None if self.ts is None or other.ts is None else np.concatenate([self.ts, other.ts]),
            types=None if self.types is None or other.types is None else np.concatenate([self.types, other.types]),
            n_items=self.n_items,
        )

    def owner(self) -> npt.NDArray[np.int64]:
        """int64[N] the session (0 to S-1) of each event."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def type_codes(self) -> npt.NDArray[np.int8]:
        """int8[N] types, all clicks where the shop has none."""
        return read_only(np.zeros(self.n_events, np.int8)) if self.types is None else self.types

    def save(self, folder: Path) -> None:
        """Write one ``.npy`` file an array into an existing folder."""
        columns: dict[str, npt.NDArray[Any] | None] = {
            "sessions": self.sessions,
            "groups": self.groups,
            "offsets": self.offsets,
            "aids": self.aids,
            "ts": self.ts,
            "types": self.types,
        }
        save_arrays(folder, n_items=np.array(self.n_items, np.int64), **columns)

    @classmethod
    def load(cls, folder: Path) -> "SessionLog":
        """Open what :meth:`save` wrote, memory-mapped and read-only.

        Raises
        ------
        InputError
            If an array is missing.
        """
        try:
            return cls(
                sessions=need_array(folder, "sessions"),
                groups=need_array(folder, "groups"),
                offsets=need_array(folder, "offsets"),
                aids=need_array(folder, "aids"),
                ts=load_array(folder, "ts"),
                types=load_array(folder, "types"),
                n_items=int(need_array(folder, "n_items")),
            )
        except ValueError as error:
            raise InputError(folder, None, f"not a session log: {error}", "remove it and run prepare again") from None
