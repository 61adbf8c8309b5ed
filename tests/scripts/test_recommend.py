"""A finished run that is asked for single sessions and batches gives what the batch stage gave, and says why."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from candidates.pool import Arena
from events.columns import TARGETS
from events.errors import InputError
from events.lists import Lists
from rankers import Recommender
from rankers.answers import Recommendation
from rankers.reasons import words
from scripts import recommend
from tests.scripts.commands import ROOT
from tests.scripts.small_run import NEURAL, TINY, make_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make_run(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def asked(folder: Path) -> Recommender:
    return Recommender.load(folder)


@pytest.fixture(scope="module")
def sessions(folder: Path, asked: Recommender) -> dict[int, list[Any]]:
    """Id to events of the sessions that the submission pass scores."""
    ids = pl.read_parquet(folder / "prepared" / "submission" / "target_ids.parquet")["id"].to_list()
    return {one: asked.events_of(one) for one in ids}


def submitted(folder: Path, target: str) -> dict[int, list[int]]:
    """Session to the items of the submission file."""
    found = {}
    for line in (folder / "submission" / "submission.csv").read_text().splitlines()[1:]:
        name, labels = line.split(",")
        session, _, kind = name.rpartition("_")
        if kind == target:
            found[int(session)] = [int(aid) for aid in labels.split()]
    return found


def same(one: Recommendation, other: Recommendation) -> bool:
    return one.items == other.items and (one.scores == other.scores).all() and one.reasons == other.reasons


@pytest.mark.parametrize("target", TARGETS)
def test_lists_are_those_of_the_submission(folder, asked, sessions, target):
    wanted = submitted(folder, target)
    assert wanted.keys() == sessions.keys()
    assert len({tuple(items) for items in wanted.values()}) > 100
    assert {one: asked.recommend(events, target).items for one, events in sessions.items()} == wanted
    assert {one: asked.recommend_session(one)[target].items for one in sessions} == wanted


def test_a_retriever_with_torch_and_reranking_give_the_same_lists_too(tmp_path):
    folder = make_run(tmp_path, TINY.replace("2000", "1000") + NEURAL + "\n[rerank]\nmmr = 0.5\n")
    asked = Recommender.load(folder)
    wanted = submitted(folder, "carts")
    events = {one: asked.events_of(one) for one in wanted}
    assert {one: asked.recommend(events[one], "carts").items for one in wanted} == wanted
    batch = asked.recommend(list(events.values()), "carts")
    assert dict(zip(wanted, (found.items for found in batch), strict=True)) == wanted
    assert asked.recommend([], "carts", k=5).items
    asked._reranker = None
    assert {one: asked.recommend(events[one], "carts").items for one in wanted} != wanted


def test_a_batch_in_any_form_is_its_sessions_one_by_one(asked, sessions):
    some = list(sessions.values())[:120]
    one_by_one = [asked.recommend(events, "clicks") for events in some]
    as_tuples = [[(e["aid"], e["ts"], e["type"]) for e in events] for events in some]
    frame = pl.concat([pl.DataFrame(events).with_columns(session=pl.lit(f"s{s}")) for s, events in enumerate(some)])
    for batch in (some, as_tuples, frame, frame.with_columns(pl.col("type").replace_strict(TARGETS, [0, 1, 2]))):
        found = asked.recommend(batch, "clicks")
        assert len(found) == len(some)
        assert all(map(same, found, one_by_one))
    assert [one.session for one in asked.recommend(frame)] == [f"s{s}" for s in range(len(some))]
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=3).with_columns(place=pl.col("session").str.slice(1))
    again = asked.recommend(shuffled.sort(pl.col("place").cast(pl.Int64), maintain_order=True), "clicks")
    times_differ = [len({e["ts"] for e in events}) == len(events) for events in some]
    assert sum(times_differ) > 50
    assert all(same(a, b) for a, b, differ in zip(again, one_by_one, times_differ, strict=True) if differ)


def test_batches_longer_than_a_chunk(asked, sessions, monkeypatch):
    some = [*list(sessions.values())[:40], [], *list(sessions.values())[40:50]]
    whole = asked.recommend(some)
    monkeypatch.setattr("rankers.recommender.CHUNK", 7)
    assert all(map(same, asked.recommend(some), whole))


def test_eight_threads_get_what_one_gets(asked, sessions):
    some = list(sessions.values())[:60] * 4
    alone = [asked.recommend_all(events) for events in some]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(asked.recommend_all, some))
        batches = list(pool.map(lambda k: asked.recommend(some[:60], k=k), range(3, 11)))
        explained = list(pool.map(lambda i: asked.explain(some[i], alone[i]["orders"].items[0]), range(60)))
    assert all(same(a[t], b[t]) for a, b in zip(alone, together, strict=True) for t in TARGETS)
    for k, batch in zip(range(3, 11), batches, strict=True):
        assert [one.items for one in batch] == [one["orders"].items[:k] for one in alone[:60]]
    assert [one.place for one in explained] == [0] * 60


def test_unknown_items_are_left_out_and_said(asked, sessions):
    events = [(e["aid"], e["ts"], e["type"]) for e in next(iter(sessions.values()))]
    end = events[-1][1]
    strange = [(2**40, end, "clicks"), *events, (10**9, end, "carts"), (2**40, end, "clicks")]
    found = asked.recommend(strange)
    assert found.unknown == (2**40, 10**9)
    assert same(found, asked.recommend(events))
    assert asked.recommend(events).unknown == ()
    batch = asked.recommend([events, [2**40], events])
    assert [one.unknown for one in batch] == [(), (2**40,), ()]
    assert same(batch[1], asked.recommend([]))


def test_without_history_come_the_popular_items(folder, asked):
    popular = Lists.load(folder / "submission" / "candidates" / "popularity")
    for t, target in enumerate(TARGETS):
        found = asked.recommend([], target)
        best = asked._items.take(popular.row(t)[0][:10]).to_list()
        assert found.items[:10] == best
        first = {reason.source: reason.place for reason in found.reasons[0]}
        assert first[f"popularity_{target}"] == 0
    assert [one.items for one in asked.recommend([[], []], "carts")] == [asked.recommend([], "carts").items] * 2
    empty = pl.DataFrame(schema={"session": pl.Int64, "aid": pl.Int64, "ts": pl.Int64, "type": pl.String})
    assert asked.recommend(empty) == []
    assert asked.recommend(empty.drop("session")).items == asked.recommend([]).items


def test_long_sessions(asked, sessions):
    events = [e for one in sessions.values() for e in one][:500]
    long = [(e["aid"], 1_660_000_000_000 + 1000 * i, e["type"]) for i, e in enumerate(events)]
    found = asked.recommend(long, k=1000)
    assert len(found.items) > 100
    assert len(set(found.items)) == len(found.items)
    assert np.isfinite(found.scores).all()
    assert (np.diff(found.scores) <= 0).all()
    assert same(asked.recommend([long, [], long], k=1000)[2], found)


def test_reasons_name_the_sources_and_the_items_seen_together(folder, asked, sessions):
    matrix = Lists.load(folder / "submission" / "covisit" / "clicks")
    checked = 0
    for events in list(sessions.values())[:80]:
        own = list(dict.fromkeys(e["aid"] for e in reversed(events)))
        found = asked.recommend(events, "clicks")
        for item, reasons in zip(found.items, found.reasons, strict=True):
            sources = {one.source: one for one in reasons}
            assert reasons, "somebody proposed it"
            assert [one.place for one in reasons] == sorted(one.place for one in reasons)
            assert ("history" in sources) == (item in own)
            if "near_clicks" in sources:
                rows = asked._items.rows(pl.Series(own))
                near = [x for x, row in zip(own, rows, strict=True) if item in _near(asked, matrix, int(row))]
                assert sources["near_clicks"].items == tuple(near[:3])
                assert near
                checked += 1
    assert checked > 100


def _near(asked: Recommender, matrix: Lists, row: int) -> list[int]:
    return asked._items.take(matrix.row(row)[0]).to_list()


def test_contributions_add_up_to_the_score_and_name_the_features(asked, sessions):
    builder: Any = asked._scorer.features
    for events in list(sessions.values())[:12]:
        for target in TARGETS:
            found = asked.recommend(events, target)
            why = asked.explain(events, found.items[2], target, top=1000)
            assert (why.place, why.item, why.reasons) == (2, found.items[2], found.reasons[2])
            assert why.score == found.scores[2]
            assert why.base + sum(one.contribution for one in why.features) == pytest.approx(why.score, abs=1e-5)
            strength = [abs(one.contribution) for one in why.features]
            assert strength == sorted(strength, reverse=True)
            assert {one.feature for one in why.features} == set(builder.names)
            log = asked._reader.read(events).log
            pool = asked._scorer.sources.pool(log, arena := Arena())
            row = pool.aids.tolist().index(int(asked._items.rows(pl.Series([why.item]))[0]))
            values = dict(zip(builder.names, builder.build(log, pool, arena)[row].tolist(), strict=True))
            np.testing.assert_equal({one.feature: one.value for one in why.features}, values)


def test_contributions_of_models_that_see_first_level_scores(tmp_path):
    made = make_run(tmp_path, TINY.replace("min_sessions", "stacking = true\nmin_sessions"), until="rank")
    asked = Recommender.load(made)
    session = next(one for one in asked.session_ids() if len(asked.events_of(one)) > 3)
    found = asked.recommend_session(session)["carts"]
    why = asked.explain_session(session, found.items[1], "carts", top=1000)
    assert why.score == found.scores[1]
    assert why.base + sum(one.contribution for one in why.features) == pytest.approx(why.score, abs=1e-5)
    assert {"first_carts_standard", "first_orders_place"} <= {one.feature for one in why.features}


NONSENSE = {
    "text": "12:clicks",
    "a number": 12,
    "a mapping": {"aid": 12},
    "no id": [(None, 1, "clicks")],
    "a fraction": [(1.5, 1, "clicks")],
    "a truth": [(True, 1, "clicks")],
    "a type that is none": [(12, 1, "views")],
    "a code that is none": [(12, 1, 3)],
    "four parts": [(12, 1, "clicks", 0)],
    "another key": [{"aid": 12, "when": 3}],
    "no item": [{"ts": 12}],
    "sometimes a time": [(12, 1_660_000_000_000, "clicks"), (12, None, "clicks")],
    "seconds": [(12, 1_660_000_000, "clicks")],
    "before time": [(12, -1, "clicks")],
    "the far future": [(12, 10**15, "clicks")],
    "beyond 64 bits": [(2**70, 1, "clicks")],
    "a list in a session": [(12, 1, "clicks"), [12]],
    "a tuple of sessions": [[12], (12,)],
    "a frame without items": pl.DataFrame({"item": [1]}),
    "a frame of text": pl.DataFrame({"aid": ["1"]}),
    "a frame with holes": pl.DataFrame({"aid": [1, None]}),
    "a frame of types": pl.DataFrame({"aid": [1], "type": ["views"]}),
    "a frame of codes": pl.DataFrame({"aid": [1], "type": [7]}),
    "a frame of times": pl.DataFrame({"aid": [1], "ts": [0.5]}),
}


@pytest.mark.parametrize("kind", NONSENSE)
def test_nonsense_is_refused(asked, kind):
    with pytest.raises(InputError):
        asked.recommend(NONSENSE[kind])


def test_what_there_is_not_is_refused(folder, asked, sessions, tmp_path):
    events = next(iter(sessions.values()))
    item = asked.recommend(events).items[0]
    far = next(i for i in asked._items.ids.to_list() if i not in asked.recommend(events, k=1000).items)
    for call, words_ in (
        (lambda: asked.recommend(events, "views"), "target"),
        (lambda: asked.recommend(events, k=0), "0 items"),
        (lambda: asked.recommend(events, k=2.5), "2.5 items"),
        (lambda: asked.recommend_session(-1), "does not score"),
        (lambda: asked.recommend_session("x"), "does not score"),
        (lambda: asked.explain(events, -5), "no such item"),
        (lambda: asked.explain(events, 2**70), "no such item"),
        (lambda: asked.recommend_session(2**70), "does not score"),
        (lambda: asked.explain(events, far), "no source proposes"),
        (lambda: asked.explain([events, events], item), "2 sessions"),
        (lambda: asked.explain([], item), "not ranked"),
        (lambda: Recommender.load(tmp_path / "none"), "no such run"),
        (lambda: Recommender.load(tmp_path), "has not run"),
        (lambda: Recommender.load(folder, "rehearsal"), "has not run"),
    ):
        with pytest.raises(InputError, match=words_):
            call()


def test_the_validation_pass_serves_where_there_is_no_other(folder, asked, sessions, tmp_path):
    assert asked.pass_name == "submission"
    shutil.copytree(folder, tmp_path / "run", ignore=lambda path, _: ["submission"] if path == str(folder) else [])
    other = Recommender.load(tmp_path / "run")
    assert other.pass_name == "validation"
    assert other.recommend(next(iter(sessions.values()))).items


def test_opening_a_run_without_neural_retrievers_loads_neither_torch_nor_lightgbm(folder, sessions):
    session = next(iter(sessions))
    code = (
        "import sys; from rankers import Recommender\n"
        f"r = Recommender.load({str(folder)!r}); r.recommend_session({session})\n"
        "print([m for m in ('torch', 'lightgbm', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_tables_that_were_kept_are_those_that_would_be_made(folder, asked, tmp_path):
    shutil.copytree(folder, tmp_path / "run")
    tables = tmp_path / "run" / "submission" / "features" / "tables"
    assert {path.stem for path in tables.iterdir()} >= {"affinity_clicks_units", "similarity_svd_0_lengths"}
    shutil.rmtree(tables)
    held: Any = asked._scorer.features
    made: Any = Recommender.load(tmp_path / "run")._scorer.features
    assert held.tables.keys() == made.tables.keys()
    for name in made.tables:
        np.testing.assert_array_equal(held.tables[name], made.tables[name], strict=True)


class TestCommandLine:
    def run(self, capsys, folder: Path, *more: str) -> str:
        assert recommend.main(["--run", str(folder), *more]) == 0
        return capsys.readouterr().out

    def test_a_session_in_words(self, capsys, folder, asked, sessions):
        events = next(one for one in sessions.values() if len(one) > 2)
        text = " ".join(f"{e['aid']}:{e['type']}" for e in events)
        lines = self.run(capsys, folder, "--session", f"{text} 999999999:carts", "--k", "5").splitlines()
        found = asked.recommend([(e["aid"], None, e["type"]) for e in events], k=5)
        assert "999999999" in lines[0]
        assert [line.split()[1] for line in lines[2:]] == [str(item) for item in found.items]
        assert [line.endswith(words(why)) for line, why in zip(lines[2:], found.reasons, strict=True)] == [True] * 5

    def test_json_of_a_session_of_the_run(self, capsys, folder, asked, sessions):
        session = list(sessions)[3]
        found = json.loads(self.run(capsys, folder, "--session-id", str(session), "--target", "carts", "--json"))
        wanted = asked.recommend_session(session)["carts"]
        assert [row["item"] for row in found["items"]] == wanted.items
        assert found["items"][0]["reasons"][0]["source"] == wanted.reasons[0][0].source

    def test_an_explanation(self, capsys, folder, asked, sessions):
        session = list(sessions)[3]
        item = asked.recommend_session(session)["orders"].items[1]
        arguments = ("--session-id", str(session), "--explain", str(item))
        text = self.run(capsys, folder, *arguments)
        why = asked.explain_session(session, item)
        assert f"item {item} for orders: place 2 of {why.candidates} candidates" in text
        assert why.features[0].feature in text
        found = json.loads(self.run(capsys, folder, *arguments, "--json"))
        assert [one["feature"] for one in found["features"]] == [one.feature for one in why.features]

    @pytest.mark.parametrize(
        "more", [("--session", "12:views"), ("--session", "twelve"), ("--session", "", "--target", "x"), ()]
    )
    def test_mistakes_are_one_line(self, capsys, folder, more):
        arguments = ["--run", str(folder), *(more or ("--session-id", "-1"))]
        assert recommend.main(arguments) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert error.count("\n") == 1
