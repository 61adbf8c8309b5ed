"""Events that stand in a log twice: counted, dropped, or refused."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import polars as pl

from events.columns import AID, SESSION, TS, TYPE
from events.errors import InputError

SAME = (SESSION, AID, TS, TYPE, "value")
"""Columns that two equal events share."""


def handle_duplicates(
    frame: pl.DataFrame, mode: Literal["keep", "drop", "error"], where: Callable[[int], tuple[str, int | None]]
) -> tuple[pl.DataFrame, str | None]:
    """The events, without repeats where they are dropped, and what to say.

    where : row of the frame to the file and the line it came from (``None``: not known)

    A log without time is not searched unless asked to: there an event that repeats is the rule.

    Raises
    ------
    InputError
        If repeats are errors, and there is one.
    """
    if mode == "keep" and TS not in frame.columns:
        return frame, None
    same = [name for name in SAME if name in frame.columns]
    # Whole rows are compared only where their hashes are equal: of most logs a small part.
    suspect = frame.select(same).hash_rows().is_duplicated()
    exact = frame.filter(suspect).select(pl.struct(same).is_first_distinct()).to_series()
    count = len(exact) - int(exact.sum())
    if count == 0:
        return frame, None
    first = np.ones(frame.height, np.bool_)
    first[suspect.arg_true().to_numpy()] = exact.to_numpy()
    if mode == "error":
        file, line = where(int(np.argmin(first)))
        problem = f"an event equal in {', '.join(same)} stands further up ({count:,} such in all)"
        raise InputError(file, line, problem, "remove it, or set events.duplicates='drop' or 'keep'")
    share = f"{count:,} events ({count / frame.height:.2%}) repeat another one of the same session, item, time and type"
    if mode == "drop":
        return frame.filter(pl.Series(first)), f"{share}: dropped"
    return frame, f"{share}: kept (events.duplicates='drop' leaves them out)"
