"""A user's mistake is one line that names file, line and remedy, exit code 2, and nothing half-written."""

import json
from pathlib import Path

import pytest

from scripts import prepare

EVENTS = [
    {"aid": 5, "ts": 1661200010000, "type": "clicks"},
    {"aid": 7, "ts": 1661200020000, "type": "carts"},
    {"aid": 5, "ts": 1661900030000, "type": "orders"},
]


def session(number: int, **changes: object) -> str:
    """One line of OTTO's JSONL; ``changes`` go into its second event."""
    events = [dict(event) for event in EVENTS]
    events[1].update(changes)
    return json.dumps({"session": number, "events": events}, separators=(",", ":"))


GOOD = [session(number) for number in range(4)]

BAD_LINES = {
    "a malformed line": ('{"session": 1, "events": [', "not JSON|malformed|cut"),
    "an unknown type": (session(1, type="views"), "type"),
    "a negative id": (session(1, aid=-3), "-3|negative|id"),
    "a huge id": (session(1, aid=2**40), "id"),
    "time going backwards": (session(1, ts=1661200000000), "back|earlier|order"),
    "a repeated session": (session(0), "session 0|repeat|twice"),
    "no events": ('{"session":1,"events":[]}', "event"),
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "x.toml"
    path.write_text(
        f'runs = "{tmp_path}/runs"\n[data]\nkind = "otto"\nroot = "{tmp_path}"\ntrain = "train.jsonl"\n'
        "[split]\ndays = 2\n"
    )
    return path


def prepared(config: Path, lines: list[str], *more: str, end: str = "\n") -> int:
    (config.parent / "train.jsonl").write_text("\n".join(lines) + end)
    return prepare.main(["--config", str(config), *more])


def nothing_is_left(folder: Path) -> bool:
    return not [path for path in folder.rglob("*") if path.is_file() and path.name not in ("x.toml", "train.jsonl")]


@pytest.mark.parametrize("kind", BAD_LINES)
def test_a_bad_line_is_named_and_nothing_is_left(config, capsys, kind):
    bad, words = BAD_LINES[kind]
    assert prepared(config, [*GOOD[:1], bad, *GOOD[2:]]) == 2
    error = capsys.readouterr().err.strip()
    assert "\n" not in error
    assert error.startswith("error: ")
    assert "train.jsonl:2: " in error
    assert any(word in error for word in words.split("|")), error
    assert "Remedy: " in error
    assert nothing_is_left(config.parent)


@pytest.mark.parametrize("kind", list(BAD_LINES))
def test_skipping_counts_bad_lines_and_goes_on(config, capsys, kind):
    late = session(9).replace("16612000", "16619000")
    bad, _ = BAD_LINES[kind]
    code = prepared(config, [*GOOD[:1], bad, *GOOD[2:], late], "--set", "events.on_bad_rows=skip")
    shown = capsys.readouterr()
    assert code == 0, shown.err
    assert "train: 1 bad line skipped" in shown.out
    assert "line 2" in shown.out


def test_a_file_cut_in_the_middle(config, capsys):
    assert prepared(config, [*GOOD[:2], GOOD[2][:40]], end="") == 2
    assert "train.jsonl:3: " in capsys.readouterr().err
    assert nothing_is_left(config.parent)


def test_empty_and_missing_files(config, capsys):
    assert prepared(config, [], end="") == 2
    assert "empty" in capsys.readouterr().err
    (config.parent / "train.jsonl").unlink()
    assert prepare.main(["--config", str(config)]) == 2
    assert "train.jsonl: no such file" in capsys.readouterr().err
    assert nothing_is_left(config.parent)


def test_mistakes_in_the_settings(config, capsys):
    for assignment in ("split.dayz=3", "split.days=soon", "data.kind=otto2", "events.on_bad_rows=ignore"):
        assert prepared(config, GOOD, "--set", assignment) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert assignment in error
    assert prepare.main(["--config", str(config.parent / "none.toml")]) == 2
    assert "none.toml: no such file" in capsys.readouterr().err
    assert nothing_is_left(config.parent)


def test_several_rows_a_session_refuse_the_transductive_fit(config, capsys):
    late = [session(n).replace("16612000", "16619000") for n in range(10, 13)]
    code = prepared(
        config, [*GOOD, *late], "--set", "split.validation=every_position", "--set", "split.transductive=true"
    )
    error = capsys.readouterr().err
    assert code == 2
    assert "split.transductive" in error


def test_a_log_without_held_out_sessions_is_said(config, capsys):
    assert prepared(config, GOOD) == 2
    error = capsys.readouterr().err
    assert "Remedy" in error
    assert "session" in error


@pytest.mark.parametrize(("what", "bad"), [("item", "red shoe"), ("item", ""), ("session", "Anna B"), ("item", "a,b")])
def test_ids_that_no_submission_can_hold_stop_at_prepare(tmp_path, capsys, what, bad):
    rows = [[f"u{n}", f"i{n % 3}", str(1661200010 + n)] for n in range(30) for _ in range(3)]
    for row in rows:
        place = 0 if what == "session" else 1
        row[place] = f'"{bad}"' if row[place] in ("u7", "i2") else row[place]
    lines = ["user,item,ts", *(",".join(row) for row in rows)]
    (tmp_path / "train.csv").write_text("\n".join(lines) + "\n")
    config = tmp_path / "x.toml"
    config.write_text(
        f'runs = "{tmp_path}/runs"\n[data]\nkind = "table"\nroot = "{tmp_path}"\ntrain = "train.csv"\n'
        'text_ids = ["session", "aid"]\ntime_unit = "s"\ncolumns = {session = "user", aid = "item", ts = "ts"}\n'
        '[split]\nvalidation = "leave_one_out"\ntest = "everyone"\n'
    )
    assert prepare.main(["--config", str(config)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "Remedy: " in error
    assert "train.csv" in error
    assert not (tmp_path / "runs" / "x" / "prepared").exists()
    if bad:
        assert prepare.main(["--config", str(config), "--set", "split.test=as_is"]) == 0  # nothing is submitted
