"""What a shop's file says of its users."""

import polars as pl

from events.columns import SESSION
from events.readers.csvfile import Dialect, read_columns
from events.readers.items import MISSING
from events.readers.jsonfile import is_json, read_json_columns
from events.readers.report import BadLines
from events.readers.table import read_ids
from events.settings import DataSettings

SETTING = "data.users"


def read_users(data: DataSettings, skip: bool) -> pl.DataFrame | None:
    """``session`` (the user's id, Int64 or String, unique: of a repeated one the first line counts), then the columns
    that the settings name, under the shop's names: Float32 numbers, String labels; null where unknown.

    ``None`` without ``data.users``.

    Raises
    ------
    InputError
        If the file or a column is missing, an id is bad, or a number is none (with the line).
    """
    users = data.users
    if users is None:
        return None
    path, bad = data.root / users.name, BadLines(data.root / users.name, skip)
    wanted = {SESSION: users.id} | {name: name for name in (*users.numbers, *users.labels)}
    if is_json(path):
        frame, lines = read_json_columns(path, wanted, bad, SETTING)
    else:
        frame, lines = read_columns(path, Dialect.of(data, users), wanted, bad, SETTING)
    ids, remedy = read_ids(frame[SESSION], SESSION, data)
    good = ids.is_not_null()
    if not good.all():
        row = int((~good).arg_true()[0])
        bad.add(lines(row), f"{frame[SESSION][row]!r} is no user's id", remedy, int((~good).sum()))
    columns = [ids]
    for name in (*users.numbers, *users.labels):
        text = frame[name].cast(pl.String).str.strip_chars()
        # A label may be "None" in earnest, as H&M's frequency of news is; a number may not.
        missing = text.str.to_lowercase().is_in(MISSING if name in users.numbers else ("",))
        text = text.to_frame().select(pl.when(~missing).then(pl.first())).to_series()
        if name in users.labels:
            columns.append(text.alias(name))
            continue
        numbers = text.cast(pl.Float32, strict=False)
        wrong = (numbers.is_null() & text.is_not_null() & good).arg_true()
        if len(wrong):
            row = int(wrong[0])
            bad.add(lines(row), f"{text[row]!r} is no number", f"name {name} in data.users.labels", len(wrong))
            good &= numbers.is_not_null() | text.is_null()
        columns.append(numbers.alias(name))
    return pl.DataFrame(columns).filter(good).unique(SESSION, keep="first", maintain_order=True)
