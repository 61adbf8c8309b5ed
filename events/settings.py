"""Settings of the events floor: where the log is, how it is read, split and sampled."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Kind = Literal["shop", "otto", "table", "sequences", "prefix_labels", "ratings", "targets"]
TargetName = Literal["clicks", "carts", "orders"]
TARGET_NAMES: tuple[TargetName, ...] = get_args(TargetName)
TimeUnit = Literal["s", "ms", "iso", "auto"]


class Frozen(BaseModel):
    """A frozen group of settings that knows all its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def merge_named(defaults: Mapping[str, Frozen], given: Any) -> Any:
    """The defaults, changed and added to by what a config gives; one of another kind takes a default's place."""
    if not isinstance(given, dict):
        return given
    merged: dict[str, Any] = {**defaults, **given}
    for name, one in given.items():
        if name in defaults and isinstance(one, dict):
            default = defaults[name].model_dump()
            if one.get("kind", default.get("kind")) == default.get("kind"):
                merged[name] = _changed(default, one)
    return merged


def without_changes(defaults: Mapping[str, Frozen], given: Any) -> Any:
    """What a config gives that stands without the defaults: not the changes of one of them, which name no kind."""
    if not isinstance(given, dict):
        return given
    return {
        name: one for name, one in given.items() if name not in defaults or not isinstance(one, dict) or "kind" in one
    }


def _changed(default: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The default with the given keys, group by group."""
    changed = {**default, **given}
    for key, one in given.items():
        if isinstance(one, dict) and isinstance(default.get(key), dict):
            changed[key] = _changed(default[key], one)
    return changed


class ColumnSettings(Frozen):
    """Names of a table's columns; without a header they are called ``column_1``, ``column_2``, ... in order.

    JSONL files (``.jsonl``, also ``.gz``) are tables, too: a column is a key, ``details.weight`` one inside another.
    """

    session: str = "session"
    """Session of the event, or its user: see ``sessions``."""
    aid: str = "aid"
    ts: str | None = None
    """Time of the event; left out, the shop has no time and the order of the file is the order of events."""
    date: str | None = None
    """Day of the event, where ``ts`` only counts the time since its midnight."""
    type: str | None = None
    """Type of the event; left out, every event is of ``data.type``, or a click."""
    user: str | None = None
    """User of the session, where sessions have ids of their own: folds and the table of users go by it."""


class FileSettings(Frozen):
    """One file, and how it differs from the others of the shop; what is left out is as ``[data]`` says."""

    name: str
    separator: str | None = Field(None, min_length=1)
    header: bool | None = None
    encoding: Literal["utf-8", "latin-1"] | None = None


class LogFileSettings(FileSettings):
    """One of several files of a log."""

    columns: ColumnSettings | None = None
    time_unit: TimeUnit | None = None
    type: TargetName | None = None


class SessionsSettings(Frozen):
    """What a session is."""

    by: Literal["id", "user", "gap"] = "id"
    """``id`` what the column ``session`` names; ``user`` all events of a user (column ``user``, else ``session``);
    ``gap`` a user's events, divided where more than ``minutes`` lie between two of them."""
    minutes: Annotated[float, Field(gt=0)] = 30


class ItemColumns(Frozen):
    """Columns (or, in a ``long`` file, properties) that hold what is known of an item."""

    aid: str
    category: tuple[str, ...] = ()
    """From the root to the leaf: a column a level, or one column with whole paths."""
    brand: str | None = None
    price: str | None = None
    """The first number in it counts: ``n552.000`` is 552, ``$1,299.00`` is 1299."""
    text: tuple[str, ...] = ()
    """Joined by spaces."""
    published: str | None = None
    """A date, a year, a time in the unit of ``[data]``, or a title that ends with ``(1995)``."""


class ItemFileSettings(FileSettings):
    """A file about items. The first known value of each item counts, in the order of the files and their lines."""

    columns: ItemColumns
    long: bool = False
    """One line a property: ``property_column`` holds its name, ``value_column`` its value, ``time_column`` orders."""
    property_column: str = "property"
    value_column: str = "value"
    time_column: str | None = None
    category_separator: str | None = None
    """Divides the levels of a path that is text, as ``.`` in ``electronics.audio.headphone``."""
    price_log2: bool = False
    """The file holds the logarithm of the price to base 2."""


class CategoryTreeSettings(FileSettings):
    """A file with the parent of each category; a category's path starts at its root."""

    category: str = "categoryid"
    parent: str = "parentid"


class ItemsSettings(Frozen):
    """What is known of items: ``prepared/items.parquet`` gets it, a row an item of the index."""

    files: Annotated[tuple[ItemFileSettings, ...], Field(min_length=1)]
    tree: CategoryTreeSettings | None = None
    join: bool = False
    """Whether items without any event join the index (cold items); otherwise what is known of them is not used."""


class UsersSettings(FileSettings):
    """What is known of users: ``prepared/users.parquet`` gets it, a row a user of the log."""

    id: str
    """Column of the user's id."""
    numbers: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    """Columns of categories, kept as text."""

    @model_validator(mode="after")
    def _some_column(self) -> "UsersSettings":
        if not self.numbers and not self.labels:
            raise ValueError("name the columns to keep in data.users.numbers and data.users.labels")
        return self


class DataSettings(Frozen):
    """The log's files and how they are written."""

    kind: Kind = "shop"
    """``shop`` the synthetic shop; ``otto`` JSONL, one session a line; ``table`` CSV or Parquet, one event a line;
    ``sequences`` items separated by spaces, one session a line; ``prefix_labels`` the same for train, lines
    ``prefix<TAB>label`` for test; ``ratings`` user, item, rating, time; ``targets`` user, item, target."""
    root: Path = Path("data")
    """Folder of the files below, relative to the current folder."""
    train: str | None = None
    files: tuple[LogFileSettings, ...] = ()
    """Instead of ``train``: several files that make one train log (kind ``table``)."""
    test: str | None = None
    test_labels: str | None = None
    """Official labels of the test sessions: JSONL, or Parquet ``session, type, aid``."""
    columns: ColumnSettings = ColumnSettings()
    """Only for kind ``table``; ``ratings`` and ``targets`` go by the order of the columns."""
    separator: Annotated[str, Field(min_length=1)] = ","
    """Of fields; quotes have a meaning only where it is a single character."""
    header: bool = True
    encoding: Literal["utf-8", "latin-1"] = "utf-8"
    time_unit: TimeUnit = "ms"
    """Seconds (with a fraction or without), milliseconds, or text such as 2014-04-07T10:51:09.277Z; a zone or an offset
    is converted, text without one is UTC. ``auto`` finds out and says so."""
    type: TargetName | None = None
    """Type of every event, where no column says it."""
    types: dict[str, TargetName] | Literal["auto"] = {"clicks": "clicks", "carts": "carts", "orders": "orders"}
    """The shop's names of event types and ours; ``auto`` knows the usual names and OTTO's 0, 1, 2, and says so."""
    drop_types: tuple[str, ...] = ()
    """The shop's names of event types that are no events for us, such as the removal from a cart."""
    text_ids: tuple[Literal["session", "aid"], ...] = ()
    """Ids that are text: 007 and 7 are different items."""
    sessions: SessionsSettings = SessionsSettings()
    items: ItemsSettings | None = None
    users: UsersSettings | None = None

    @model_validator(mode="after")
    def _train_is_named(self) -> "DataSettings":
        if self.kind != "shop" and self.train is None and not self.files:
            raise ValueError(f"kind {self.kind!r} needs the name of its train file: set data.train")
        if self.files and (self.kind != "table" or self.train is not None):
            raise ValueError("data.files stands in place of data.train, and only for kind 'table'")
        if self.sessions.by != "id" and self.kind not in ("table", "ratings", "targets"):
            raise ValueError(
                f"data.sessions.by={self.sessions.by!r} needs a table of events: kind {self.kind!r} is none"
            )
        if self.sessions.by == "gap" and not self.has_time:
            raise ValueError("data.sessions.by='gap' needs the time of events: name its column in data.columns.ts")
        return self

    @property
    def has_time(self) -> bool:
        """Whether a table's events have a time."""
        columns = [one.columns or self.columns for one in self.files] or [self.columns]
        return self.kind in ("otto", "ratings", "shop") or all(one.ts is not None for one in columns)

    @property
    def targets(self) -> tuple[TargetName, ...]:
        """Types of event that the log may have: those a table's types are called, or that of all events of a file."""
        if self.kind != "table":
            return TARGET_NAMES
        files = self.files or (LogFileSettings(name=self.train or ""),)
        named: set[TargetName] = set()
        for one in files:
            if (one.columns or self.columns).type is not None:
                named |= set(TARGET_NAMES if self.types == "auto" else self.types.values())
            elif kind := one.type or self.type:
                named.add(kind)
        return tuple(name for name in TARGET_NAMES if name in named)

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of all files that the log and its tables are made of."""
        names = [self.train, *(one.name for one in self.files), self.test, self.test_labels]
        if self.items is not None:
            names += [one.name for one in self.items.files]
            names += [self.items.tree.name] if self.items.tree else []
        names += [self.users.name] if self.users else []
        return tuple(dict.fromkeys(name for name in names if name))


class EventsSettings(Frozen):
    """How strict the readers are."""

    on_bad_rows: Literal["error", "skip"] = "error"
    """Stop at the first bad line, or leave bad lines out and count them."""
    duplicates: Literal["keep", "drop", "error"] = "keep"
    """Events equal in session, item, time and type: a shop like OTTO has true ones. They are counted and said; or all
    but the first are left out; or the first is an error."""


def unix_ms(given: Any) -> Any:
    """Unix milliseconds of a date or moment, as TOML has them or in ISO's writing; without a time zone it is UTC.

    >>> unix_ms("1970-01-02"), unix_ms("1970-01-01T01:00:00+01:00"), unix_ms(5)
    (86400000, 0, 5)
    """
    if isinstance(given, str):
        try:
            given = datetime.fromisoformat(given)
        except ValueError:
            raise ValueError("neither unix milliseconds nor a date such as 2022-08-22 or 2022-08-22T18:00:00") from None
    if isinstance(given, date) and not isinstance(given, datetime):
        given = datetime(given.year, given.month, given.day)
    if isinstance(given, datetime):
        return round((given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp() * 1000)
    return given


Moment = Annotated[int, BeforeValidator(unix_ms), Field(ge=0)]
"""Unix milliseconds, given as such, as a date or as text in ISO's writing."""


class SplitSettings(Frozen):
    """How sessions are held out and cut."""

    validation: Literal["official", "dates", "last_days", "leave_one_out", "every_position", "last_share", "users"] = (
        "official"
    )
    """``official`` sessions of the last days, one random cut each; ``dates`` the same, from ``start`` on;
    ``last_days`` every session that goes on in the last days, cut where they begin (for sessions that are users: those
    without an event before are not scored);
    ``every_position`` sessions of these days, one row a prefix; ``leave_one_out`` every session without its last event;
    ``last_share`` the last sessions, one random cut; ``users`` a share of all users or sessions, drawn by a hash of
    their ids, nothing of whom is trained on, one random cut each."""
    days: Annotated[float, Field(gt=0)] = 7
    """Length of the held-out period; it ends with the last event of the log, or at ``until``."""
    cut_ms: Annotated[int, Field(ge=0)] | None = None
    """Start of the held-out period in unix milliseconds, instead of ``days``."""
    start: Moment | None = None
    """The same as a date, for instance 2022-08-22 (UTC); ``dates`` needs it."""
    until: Moment | None = None
    """End of the held-out period: validation knows nothing of what happens from then on."""
    earlier_weeks: Annotated[int, Field(ge=0, le=3)] = 0
    """Held-out periods before that of validation which rankers are trained on, too: everything is fitted for each of
    them anew, on what lies before it. No score is reported of them. Only for ``official``, ``dates``, ``last_days``."""
    more_cuts: Annotated[int, Field(ge=0, le=10)] = 0
    """Other cuts of each held-out session which rankers are trained on, too, up to so many; behind the scored one
    where ``transductive``. No score is reported of them, and no model that reports a session is trained on its cuts.
    Only for ``official``, ``dates``, ``last_share``, ``users``."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.12
    """Share of the sessions held out where the shop has no time, and of the users held out by ``users``."""
    cuts: Path | None = None
    """Parquet file ``session, cut`` (number of visible events) of the validation sessions, instead of random cuts."""
    test: Literal["as_is", "official", "every_position", "leave_one_out", "everyone"] = "as_is"
    """``as_is`` the test file holds truncated sessions; otherwise it holds whole sessions, to be cut in this way;
    ``leave_one_out`` without a test file cuts the train sessions themselves; ``everyone``, without a test file, asks
    for lists for every train session as it ends (the users of a shop, for the time after the log)."""
    min_events: Annotated[int, Field(ge=2)] = 2
    """Sessions with fewer events are neither trained on nor tested, after trimming and dropping unknown items."""
    transductive: bool = False
    """Whether the visible events of target sessions join the fit."""

    @model_validator(mode="after")
    def _period_fits(self) -> "SplitSettings":
        if self.start is not None and self.cut_ms is not None:
            raise ValueError("split.start and split.cut_ms say the same: give one of them")
        if self.validation == "dates" and self.start is None:
            raise ValueError("validation 'dates' needs split.start")
        if self.more_cuts and self.validation not in ("official", "dates", "last_share", "users"):
            raise ValueError(f"validation {self.validation!r} cuts no session at random: set split.more_cuts=0")
        if self.until is not None and self.cut is not None and self.until <= self.cut:
            raise ValueError("split.until must lie after the start of the held-out period")
        return self

    @property
    def cut(self) -> int | None:
        """Start of the held-out period in unix milliseconds, where it is given."""
        return self.cut_ms if self.start is None else self.start


class SampleSettings(Frozen):
    """A share of the log for quick trials."""

    sessions: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the sessions kept, by a hash of their group; the item index stays whole."""
