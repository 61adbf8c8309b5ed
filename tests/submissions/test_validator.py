"""Every planted defect is found in its line, and a good file has none."""

from pathlib import Path

import polars as pl
import pytest

from events.errors import InputError
from events.index import IdIndex
from submissions import rows as rows_module
from submissions.validator import LIMIT, Problem, require_valid, validate_submission

SESSIONS = pl.Series([11, 12, 13])
ITEMS = IdIndex.of(pl.Series(range(100)))
TARGETS = ("clicks", "carts", "orders")
GOOD = [f"{session}_{target},1 2 3" for session in SESSIONS for target in TARGETS]


def check(path: Path, lines: list[str], end: str = "\n", header: str = "session_type,labels") -> list[Problem]:
    path.write_bytes(("\n".join([header, *lines]) + end).encode("utf-8", "surrogateescape"))
    return validate_submission(path, SESSIONS, TARGETS, ITEMS, k=5)


def planted(line: int, text: str) -> list[str]:
    """The good file with another text in this line of the file."""
    lines = list(GOOD)
    lines[line - 2] = text
    return lines


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "submission.csv"


def test_a_good_file_has_no_problem(path: Path) -> None:
    assert check(path, GOOD) == []
    assert check(path, GOOD[::-1]) == []
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert validate_submission(path, SESSIONS, TARGETS, ITEMS, k=5) == []
    assert require_valid(path, SESSIONS, TARGETS, ITEMS) == []


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("", "blank line", "blank line"),
        ("11_carts", "columns", "1 columns instead of 2: '11_carts'"),
        ("11_carts,1,2", "columns", "3 columns instead of 2: '11_carts,1,2'"),
        ("11carts,1", "row id", "malformed row id '11carts'"),
        ("_carts,1", "row id", "malformed row id '_carts'"),
        ("1x_carts,1", "row id", "malformed row id '1x_carts'"),
        ("11_views,1", "unknown type", "unknown type 'views'"),
        ("11_cart,1", "unknown type", "unknown type 'cart'"),
        ("99_carts,1", "unknown session", "unknown session '99'"),
        ("11_clicks,1", "duplicate row", "row '11_clicks' stands already in line 2"),
        ("11_carts,1 2 3 4 5 6", "too many items", "6 items, at most 5 count"),
        ("11_carts,7 8 7", "repeated item", "item '7' is repeated"),
        ("11_carts,7 8 07", "repeated item", "item '07' is repeated"),
        ("11_carts,1 b 3", "not an integer", "item 'b' is not an integer"),
        ("11_carts,1  3", "not an integer", "item '' is not an integer"),
        ("11_carts,1 3.0", "not an integer", "item '3.0' is not an integer"),
        ("11_carts,1 100", "unknown item", "unknown item '100'"),
        ("11_carts,-1", "unknown item", "unknown item '-1'"),
        ("11_carts,", "empty row", "no items"),
    ],
)
def test_a_planted_defect_is_found_in_its_line(path: Path, text: str, kind: str, message: str) -> None:
    problems = check(path, planted(3, text))
    in_line = [problem for problem in problems if problem.line is not None]
    assert [(problem.line, problem.kind) for problem in in_line] == [(3, kind)]
    assert message in in_line[0].message
    assert in_line[0].warning == (kind == "empty row")
    missing = [problem.message for problem in problems if problem.kind == "missing rows"]
    gone = kind in {"blank line", "columns", "row id", "unknown type", "unknown session", "duplicate row"}
    assert missing == (["1 of 9 rows are missing: 11_carts"] if gone else [])


def test_several_defects_of_one_row_are_all_named(path: Path) -> None:
    problems = check(path, planted(4, "11_orders,1 1 x 200 3 4"))
    assert {(problem.line, problem.kind) for problem in problems} == {
        (4, "too many items"),
        (4, "repeated item"),
        (4, "not an integer"),
        (4, "unknown item"),
    }


def test_header_encoding_and_a_cut_file(path: Path) -> None:
    problems = check(path, GOOD, header="session,labels")
    assert [(problem.line, problem.kind) for problem in problems] == [(1, "header")]
    assert [(p.line, p.kind) for p in check(path, GOOD, header="\ufeffsession_type,labels")] == [(1, "header")]
    problems = check(path, planted(5, "12_clicks,1 \udcff"))
    assert {(problem.line, problem.kind) for problem in problems} == {(5, "encoding"), (5, "not an integer")}
    assert [(p.line, p.kind) for p in check(path, GOOD, end="")] == [(10, "cut")]

    check(path, GOOD)
    path.write_bytes(path.read_bytes()[:-30])
    kinds = {problem.kind: problem for problem in validate_submission(path, SESSIONS, TARGETS, ITEMS)}
    assert kinds["cut"].line == 9
    assert kinds["missing rows"].message.startswith("2 of 9 rows are missing: 13_carts, 13_orders")


def test_empty_and_missing_files(path: Path) -> None:
    path.write_bytes(b"")
    assert [problem.kind for problem in validate_submission(path, SESSIONS)] == ["empty file"]
    assert [problem.kind for problem in check(path, [])] == ["missing rows"]
    with pytest.raises(InputError, match="no such file"):
        validate_submission(path.with_name("none"), SESSIONS)


def test_long_lists_of_problems_are_cut_and_counted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = pl.Series(range(1_000))
    lines = [f"{session}_clicks,{'' if session % 2 else '1 1'}" for session in sessions]
    monkeypatch.setattr(rows_module.line_chunks, "__defaults__", (64,))
    path.write_text("session_type,labels\n" + "\n".join(lines) + "\n")
    problems = validate_submission(path, sessions, ["clicks"], ITEMS)
    repeated = [problem for problem in problems if problem.kind == "repeated item"]
    assert [problem.line for problem in repeated] == [2 + 2 * place for place in range(LIMIT)] + [None]
    assert repeated[-1].message == "repeated item: 490 more"
    assert [problem.warning for problem in problems] == [False] * (LIMIT + 1) + [True] * (LIMIT + 1)


def test_line_numbers_and_duplicates_hold_across_chunks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module.line_chunks, "__defaults__", (8,))
    problems = check(path, [*GOOD, "12_carts,4"])
    assert [(problem.line, problem.message) for problem in problems] == [
        (11, "row '12_carts' stands already in line 6")
    ]


def test_string_ids(path: Path) -> None:
    sessions, items = pl.Series(["a_b", "c"]), IdIndex.of(pl.Series(["p1", "p2"]))
    path.write_text("session_type,labels\na_b_clicks,p1 p2\nc_clicks,p1 p3 p1\n")
    problems = validate_submission(path, sessions, ["clicks"], items)
    assert {(problem.line, problem.message) for problem in problems} == {
        (3, "unknown item 'p3'"),
        (3, "item 'p1' is repeated"),
    }


def test_without_an_index_any_integer_will_do(path: Path) -> None:
    path.write_text("session_type,labels\n11_clicks,123456789 5\n12_clicks,4 4\n13_clicks,x\n")
    problems = validate_submission(path, SESSIONS, ["clicks"])
    assert [(problem.line, problem.kind) for problem in problems] == [(3, "repeated item"), (4, "not an integer")]


def test_require_valid_raises_the_first_error_and_returns_warnings(path: Path) -> None:
    check(path, [*planted(3, "11_carts,"), "11_carts,4", "99_carts,4"])
    with pytest.raises(InputError, match=r"submission.csv:11: row '11_carts' .* \(and 1 more\)"):
        require_valid(path, SESSIONS, TARGETS, ITEMS)
    check(path, planted(3, "11_carts,"))
    assert [problem.kind for problem in require_valid(path, SESSIONS, TARGETS, ITEMS)] == ["empty row"]
