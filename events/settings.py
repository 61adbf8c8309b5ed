"""Settings of the events floor: where the log is, how it is read, split and sampled."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Kind = Literal["shop", "otto", "table", "sequences", "prefix_labels", "ratings", "targets"]
TargetName = Literal["clicks", "carts", "orders"]


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


def _changed(default: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The default with the given keys, group by group."""
    changed = {**default, **given}
    for key, one in given.items():
        if isinstance(one, dict) and isinstance(default.get(key), dict):
            changed[key] = _changed(default[key], one)
    return changed


class ColumnSettings(Frozen):
    """Names of a table's columns; without a header they are called ``column_1``, ``column_2``, ... in order."""

    session: str = "session"
    aid: str = "aid"
    ts: str | None = None
    """Time of the event; left out, the shop has no time and the order of the file is the order of events."""
    type: str | None = None
    """Type of the event; left out, every event is a click."""


class DataSettings(Frozen):
    """The log's files and how they are written."""

    kind: Kind = "shop"
    """``shop`` the synthetic shop; ``otto`` JSONL, one session a line; ``table`` CSV or Parquet, one event a line;
    ``sequences`` items separated by spaces, one session a line; ``prefix_labels`` the same for train, lines
    ``prefix<TAB>label`` for test; ``ratings`` user, item, rating, time; ``targets`` user, item, target."""
    root: Path = Path("data")
    """Folder of the files below, relative to the current folder."""
    train: str | None = None
    test: str | None = None
    test_labels: str | None = None
    """Official labels of the test sessions: JSONL, or Parquet ``session, type, aid``."""
    columns: ColumnSettings = ColumnSettings()
    """Only for kind ``table``; ``ratings`` and ``targets`` go by the order of the columns."""
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    header: bool = True
    time_unit: Literal["s", "ms", "iso"] = "ms"
    """Seconds (with a fraction or without), milliseconds, or text such as 2014-04-07T10:51:09.277Z."""
    types: dict[str, TargetName] = {"clicks": "clicks", "carts": "carts", "orders": "orders"}
    """The shop's names of event types and ours."""
    text_ids: tuple[Literal["session", "aid"], ...] = ()
    """Ids that are text: 007 and 7 are different items."""

    @model_validator(mode="after")
    def _train_is_named(self) -> "DataSettings":
        if self.kind != "shop" and self.train is None:
            raise ValueError(f"kind {self.kind!r} needs the name of its train file: set data.train")
        return self


class EventsSettings(Frozen):
    """How strict the readers are."""

    on_bad_rows: Literal["error", "skip"] = "error"
    """Stop at the first bad line, or leave bad lines out and count them."""


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

    validation: Literal["official", "dates", "leave_one_out", "every_position", "last_share", "users"] = "official"
    """``official`` sessions of the last days, one random cut each; ``dates`` the same, from ``start`` on;
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
    share: Annotated[float, Field(gt=0, lt=1)] = 0.12
    """Share of the sessions held out where the shop has no time, and of the users held out by ``users``."""
    cuts: Path | None = None
    """Parquet file ``session, cut`` (number of visible events) of the validation sessions, instead of random cuts."""
    test: Literal["as_is", "official", "every_position", "leave_one_out"] = "as_is"
    """``as_is`` the test file holds truncated sessions; otherwise it holds whole sessions, to be cut in this way;
    ``leave_one_out`` without a test file cuts the train sessions themselves."""
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
