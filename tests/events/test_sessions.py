from collections import defaultdict
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from events.errors import InputError
from events.raw import GROUP
from events.readers import read
from events.readers.duplicates import handle_duplicates
from events.readers.sessions import form_sessions
from events.settings import DataSettings, EventsSettings, SessionsSettings

MINUTE = 60_000
Event = tuple[int, int]


def slow(events: list[Event], minutes: float) -> dict[str, list[int]]:
    """Times of each session, the plain way."""
    times = defaultdict(list)
    for user, ts in events:
        times[user].append(ts)
    sessions: dict[str, list[int]] = {}
    for user, all_of_user in times.items():
        before, name = None, ""
        for ts in sorted(all_of_user):
            if before is None or ts - before > minutes * MINUTE:
                name = f"{user}:{ts}"
                assert name not in sessions
                sessions[name] = []
            sessions[name].append(ts)
            before = ts
    return sessions


def formed(events: list[Event], minutes: float) -> dict[str, list[int]]:
    frame = pl.DataFrame(events, schema={"session": pl.Int64, "ts": pl.Int64}, orient="row")
    frame = form_sessions(frame, SessionsSettings(by="gap", minutes=minutes))
    sessions = frame.sort("session", "ts").group_by("session", maintain_order=True).agg("ts", GROUP)
    assert all(name.startswith(f"{groups[0]}:") and len(set(groups)) == 1 for name, _, groups in sessions.rows())
    return {name: times for name, times, _ in sessions.rows()}


EVENTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20).map(lambda n: n * 10 * MINUTE)), max_size=30)


@settings(max_examples=60, deadline=None)
@given(EVENTS, st.sampled_from([10, 20.5, 30]), st.randoms(use_true_random=False))
def test_gaps_divide_as_the_plain_way_does_in_any_order(events: list[Event], minutes: float, random) -> None:  # type: ignore[no-untyped-def]
    expected = slow(events, minutes)
    assert formed(events, minutes) == expected
    random.shuffle(events)
    assert formed(events, minutes) == expected
    # Another user changes nothing, nor does what the same users do long after.
    later = [*events, (9, 0), *((user, 10_000 * MINUTE) for user, _ in events)]
    assert expected.items() <= formed(later, minutes).items()


def test_sessions_by_user_take_the_column_of_users() -> None:
    frame = pl.DataFrame({"session": ["a", "b"], GROUP: [7, 7], "ts": [2, 1]})
    by_user = form_sessions(frame, SessionsSettings(by="user"))
    assert by_user.columns == ["session", "ts"]
    assert by_user["session"].to_list() == [7, 7]
    assert form_sessions(frame, SessionsSettings()).equals(frame)


def test_gaps_need_time_and_a_table() -> None:
    table = {"kind": "table", "train": "x.csv", "sessions": {"by": "gap"}}
    with pytest.raises(ValidationError, match=r"data.columns.ts"):
        DataSettings.model_validate(table)
    with pytest.raises(ValidationError, match="needs a table"):
        DataSettings.model_validate(table | {"kind": "sequences"})
    DataSettings.model_validate(table | {"columns": {"ts": "when"}})


def test_repeated_events_are_kept_dropped_or_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("session,aid,ts\n1,5,3000\n1,5,3000\n2,5,3000\n")
    (tmp_path / "b.csv").write_text("session,aid,ts\n2,6,1000\nx,1,1\n2,5,3000\n1,5,3000\n")
    files = [{"name": "a.csv"}, {"name": "b.csv"}]
    data = DataSettings.model_validate({"kind": "table", "root": tmp_path, "files": files, "columns": {"ts": "ts"}})
    out = tmp_path / "log.parquet"

    def of(mode: str) -> tuple[int, str]:
        report = read(data, EventsSettings(on_bad_rows="skip", duplicates=mode), "train", out)  # type: ignore[arg-type]
        assert report.reasons == ("b.csv, line 3: 'x' is no session",)
        return pl.read_parquet(out).height, report.notes[-1]

    assert of("keep") == (6, of("keep")[1])
    assert of("keep")[1].startswith("3 events (50.00%) repeat another one")
    assert of("drop")[0] == 3
    assert pl.read_parquet(out).select("session", "aid").rows() == [(1, 5), (2, 6), (2, 5)]
    assert pl.read_parquet(out)["event"].to_list() == [0, 0, 1]
    with pytest.raises(InputError, match=r"a.csv:3: an event equal in session, aid, ts stands further up \(3 such"):
        of("error")
    (tmp_path / "a.csv").write_text("session,aid,ts\n1,5,3000\n")
    with pytest.raises(InputError, match=r"b.csv:5: an event equal"):
        of("error")


def test_a_log_without_time_repeats_as_a_rule() -> None:
    frame = pl.DataFrame({"session": [1, 1], "aid": [5, 5]})
    assert handle_duplicates(frame, "keep", lambda row: ("", row)) == (frame, None)
    assert handle_duplicates(frame, "drop", lambda row: ("", row))[0].height == 1


def test_otto_repeats_and_seconds(tmp_path: Path) -> None:
    event = '{"aid":1,"ts":1659304800000,"type":"clicks"}'
    (tmp_path / "x.jsonl").write_text(f'{{"session":0,"events":[{event},{event}]}}\n')
    data = DataSettings(kind="otto", root=tmp_path, train="x.jsonl")
    out = tmp_path / "log.parquet"
    assert read(data, EventsSettings(), "train", out).events == 2
    assert read(data, EventsSettings(duplicates="drop"), "train", out).events == 1
    with pytest.raises(InputError, match="session 0: an event equal"):
        read(data, EventsSettings(duplicates="error"), "train", out)
    (tmp_path / "x.jsonl").write_text((tmp_path / "x.jsonl").read_text().replace("000,", ","))
    with pytest.raises(InputError, match=r"x.jsonl:1: 1659304800 is no time in milliseconds: it looks like seconds"):
        read(data, EventsSettings(), "train", out)
    assert not out.exists()


@pytest.mark.parametrize(
    ("second", "problem"),
    [
        ({"name": "b.csv", "columns": {"session": "s", "aid": "aid"}}, "the file gives session, aid, but a.csv"),
        ({"name": "b.csv", "type": "orders"}, "the file gives session, aid, ts, type, but a.csv session, aid, ts"),
        ({"name": "b.csv", "columns": {"session": "sesion", "aid": "aid"}}, "no column 'sesion'; did you mean 's'|no"),
    ],
)
def test_files_of_a_log_must_agree(tmp_path: Path, second: dict[str, object], problem: str) -> None:
    (tmp_path / "a.csv").write_text("session,aid,ts\n1,5,3000\n")
    (tmp_path / "b.csv").write_text("session,s,aid,ts\n1,1,5,3000\n")
    files = [{"name": "a.csv"}, second]
    data = DataSettings.model_validate({"kind": "table", "root": tmp_path, "files": files, "columns": {"ts": "ts"}})
    with pytest.raises(InputError, match=problem):
        read(data, EventsSettings(), "train", tmp_path / "log.parquet")


def test_the_nearest_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("SessionId,ItemId,Time\n1,5,3000\n")
    columns = {"session": "SessionID", "aid": "item_id"}
    data = DataSettings.model_validate({"kind": "table", "root": tmp_path, "train": "a.csv", "columns": columns})
    with pytest.raises(InputError, match=r"a.csv:1: no column 'SessionID'; did you mean 'SessionId'\?. Remedy: name"):
        read(data, EventsSettings(), "train", tmp_path / "log.parquet")
