"""What a session is: an id of the source, a user, or a stretch of a user's events without a long gap."""

import polars as pl

from events.columns import SESSION, TS
from events.raw import GROUP
from events.settings import SessionsSettings


def form_sessions(frame: pl.DataFrame, settings: SessionsSettings) -> pl.DataFrame:
    """The events with the ``session`` that the settings ask for, and its user as ``group``.

    frame : ``session`` as the source has it, ``group`` where users have a column of their own, ``ts`` in milliseconds

    By gap, a session's id is ``<user>:<its first event in milliseconds>``. No two sessions of a user start at once, so
    ids are unique; they do not depend on the order of the lines, nor on other users, nor on what happens later.
    """
    if settings.by == "id":
        return frame
    user = GROUP if GROUP in frame.columns else SESSION
    if settings.by == "user":
        return frame.with_columns(pl.col(user).alias(SESSION)).drop(GROUP, strict=False)
    frame = frame.with_columns(pl.col(user).alias(GROUP)).sort(GROUP, TS, maintain_order=True)
    apart = pl.col(TS) - pl.col(TS).shift(1) > round(settings.minutes * 60_000)
    opens = (pl.col(GROUP).ne_missing(pl.col(GROUP).shift(1)) | apart).fill_null(True)
    name = pl.col(GROUP).cast(pl.String) + ":" + pl.col(TS).cast(pl.String)
    return frame.with_columns(pl.when(opens).then(name).forward_fill().alias(SESSION))
