"""What the page does: it shows the recommender's lists and reasons, and takes no harm from nonsense."""

import itertools
import math
import random
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from events.compiled import ROOT
from events.errors import InputError
from rankers.reasons import words
from scripts.demo import __main__ as command
from scripts.demo.desk import POPULAR, Desk, K
from scripts.demo.shop import Shop
from scripts.demo.visit import MOST_EVENTS, Visit
from tests.demo.test_texts import Reader

NONSENSE = [
    "x",
    "12:views",
    "😀",
    "<script>alert(1)</script>",
    "1 " * 10_000,
    "9" * 5_000,
    str(2**70),
    "{{x}} ${y}",
    "1\ud800",
]

KNOWN_TAGS = {"section", "h3", "h4", "small", "ol", "ul", "li", "button", "span", "b", "i", "p", "div", "nav", "a"}


def act(desk: Desk, visit: Visit, do: str, item: str = "", kind: str = ""):
    return desk.act(visit, [{"n": visit.seen + 1, "do": do, "item": item, "kind": kind}])


def listed(html: str, target: str) -> list[str]:
    """Ids of a list on the page, in order."""
    part = html.split(f'class="list {target}"')[1].split("</section>")[0]
    return [one["data-add"] for kind, one in Reader(part).tags if kind == "button" and "data-add" in one]


def lists_of(desk, view) -> dict[str, list[str]]:
    return {target: listed(view.lists, target) for target in desk.targets}


def items(shop, visit) -> dict[str, list[str]]:
    found = shop.recommender.recommend_all(list(visit.session.events), K)
    return {target: [str(item) for item in one.items] for target, one in found.items()}


def test_a_session_of_the_run_has_the_lists_of_the_run(desk, shop):
    for name in desk.examples(5):
        visit, view = desk.pick(Visit(), name)
        assert visit.session.name == str(name)
        for target, wanted in shop.recommender.recommend_session(name, K).items():
            assert listed(view.lists, target) == [str(item) for item in wanted.items]
            assert len(wanted.items) == K
    assert len(set(desk.examples(50))) == 50


def test_rows_say_score_sources_and_items_seen_together(desk, shop):
    visit, view = desk.pick(Visit(), desk.examples(1)[0])
    found = shop.recommender.recommend_all(list(visit.session.events), K)["orders"]
    part = view.lists.split('class="list orders"')[1]
    rows = ["".join(Reader(row).texts) for row in part.split("<li")[1:]]
    assert len(rows) == K
    near = 0
    for row, item, score, why in zip(rows, found.items, found.scores.tolist(), found.reasons, strict=True):
        assert f"{score:.3f}" in row
        assert str(item) in row
        first = why[0]
        assert f"{first.source} {first.place + 1}" in row
        assert all(str(aid) in row for one in why[:3] for aid in one.items)
        near += any(one.items for one in why[:3])
        assert words(why[:1]).split(" ")[0] == first.source
    assert near > 5
    assert '<span class="own">' in part


def test_clicks_add_events_and_steps_go_back(desk, shop):
    visit, view = desk.show(Visit())
    start = lists_of(desk, view)
    for kind in ("clicks", "carts", "orders"):
        item = listed(view.lists, "orders")[3]
        visit, view = act(desk, visit, "add", item, kind)
        assert (str(visit.session.events[-1].aid), visit.session.events[-1].kind) == (item, kind)
        assert {target: listed(view.lists, target) for target in desk.targets} == items(shop, visit)
    assert f'data-events="{3}"' in view.session
    for n in (2, 1, 0):
        visit, view = act(desk, visit, "undo")
        assert len(visit.session.events) == n
    assert lists_of(desk, view) == start
    assert "othing to undo" in act(desk, visit, "undo")[1].said
    visit, _ = desk.pick_any(visit)
    visit, view = act(desk, visit, "clear")
    assert lists_of(desk, view) == start


def test_acts_are_done_once_and_in_order_however_they_arrive(desk, shop):
    some = [str(item) for item in shop.recommender.recommend([]).items[:6]]
    acts = [{"n": n, "do": "add", "item": item, "kind": "carts"} for n, item in enumerate(some, 1)]
    acts.insert(4, {"n": 2.5, "do": "clear"})
    wanted = desk.act(Visit(), acts)[0].session
    assert [str(event.aid) for event in wanted.events] == some
    for seed in range(5):
        draw, visit = random.Random(seed), Visit()
        parts = [acts[: draw.randint(1, len(acts))] for _ in range(4)] + [acts]
        for part in draw.sample(parts, len(parts)):
            visit, view = desk.act(visit, part)
        assert (visit.session, visit.seen) == (wanted, 6)
        assert 'data-seen="6"' in view.session
        assert len(list(itertools.takewhile(lambda one: one.earlier, _back(desk, visit)))) == 6
    mixed = [
        {"n": 1, "do": "add", "item": some[0], "kind": "clicks"},
        {"n": 2, "do": "add", "item": "x", "kind": "clicks"},
    ]
    visit, view = desk.act(Visit(), [*mixed, {"n": 3, "do": "add", "item": some[1], "kind": "clicks"}])
    assert [str(event.aid) for event in visit.session.events] == some[:2]
    for sent in (None, "x", [None], [{"n": "1", "do": "undo"}], [{"n": True}], {"n": 1}):
        assert desk.act(Visit(), sent)[0].session == Visit().session
    assert desk.act(Visit(), [{"n": 1, "do": "add", "item": some[0], "kind": "\ud800"}])[1].said.encode()
    assert 'class="said wrong"' in desk.act(Visit(), [{"n": 1, "do": "buy"}])[1].said


def _back(desk, visit):
    while True:
        yield visit
        visit, _ = act(desk, visit, "undo")


def test_a_cold_page_shows_what_is_popular_and_says_so(desk, shop):
    _, view = desk.show(Visit())
    nothing = shop.recommender.recommend_all([], K)
    assert {t: listed(view.lists, t) for t in desk.targets} == {
        t: [str(x) for x in r.items] for t, r in nothing.items()
    }
    assert "Every list holds what is popular." in view.session
    assert "no session yet" in view.session
    offered = [one["data-add"] for _, one in Reader(desk.popular).tags if "data-add" in one]
    assert len(offered) == len(set(offered)) == POPULAR
    assert offered[0] == str(nothing["orders"].items[0])


@pytest.mark.parametrize("text", NONSENSE, ids=range(len(NONSENSE)))
def test_nonsense_changes_nothing_and_is_one_line(desk, text):
    before, shown = desk.pick(Visit(), desk.examples(1)[0])
    for nonsense in (
        lambda: desk.type(before, text),
        lambda: act(desk, before, "add", text, "clicks"),
        lambda: desk.pick(before, text),
    ):
        after, view = nonsense()
        assert replace(after, seen=0) == before
        assert [part.replace('data-seen="1"', 'data-seen="0"') for part in view[1:]] == list(shown[1:])
        assert "".join(view).encode()
        said = Reader(view.said)
        assert said.tags == [("p", {"class": "said wrong", "role": "status"})]
        assert 10 < len("".join(said.texts)) < 400
    after, told = desk.why(before, text, "orders")
    assert 'class="said wrong"' in told
    assert desk.why(after)[1].count('class="pick"') == K


def test_other_nonsense(desk):
    visit, view = desk.type(Visit(), "")
    assert (visit, view.said) == (Visit(), "")
    assert 'class="said wrong"' in act(desk, Visit(), "add", "1", "<b>")[1].said
    assert 'class="said wrong"' in desk.why(Visit(), "1", "views")[1]
    full, view = desk.type(Visit(), "1 " * MOST_EVENTS)
    assert len(full.session.events) == MOST_EVENTS
    assert act(desk, full, "add", "1", "clicks")[0].session == full.session
    assert f"{MOST_EVENTS - 40} earlier" in view.session


def test_unknown_items_are_left_out_and_said(desk, shop):
    known = shop.recommender.recommend([]).items[0]
    visit, view = desk.type(Visit(), f"{known} -5:carts 999999999")
    assert "does not know them: -5, 999999999." in "".join(Reader(view.said).texts)
    assert view.session.count("unknown") == 2
    assert {t: listed(view.lists, t) for t in desk.targets} == items(shop, visit)
    assert "popular" not in view.said + view.session
    _, view = desk.type(Visit(), "-5 -6 -7 -8 -9 -10 -11")
    assert "and 2 more." in view.said
    assert "So every list holds what is popular." in view.said


def test_names_are_shown_and_are_no_markup(desk):
    seen = 0
    for name in desk.examples(20):
        visit, view = desk.pick(Visit(), name)
        why = desk.why(visit)[1]
        for html in (view.lists, view.session, why, desk.popular):
            assert {kind for kind, _ in Reader(html).tags} <= KNOWN_TAGS
            assert not set("{}$`") & set(html)
            seen += "&lt;img" in html
    assert seen > 20
    assert "fine thing" in view.lists + desk.popular


def test_the_path_of_a_score_adds_up(desk, shop):
    visit, _ = desk.pick(Visit(), next(one for one in desk.examples(30) if len(shop.session(one).events) > 2))
    events = list(visit.session.events)
    for target in desk.targets:
        item = shop.recommender.recommend(events, target).items[4]
        visit, told = desk.why(visit, str(item), target)
        why = shop.recommender.explain(events, item, target, 1000)
        said = "".join(Reader(told).texts)
        assert f"place 5 of {why.candidates} candidates for {target}" in said
        assert f"= {why.score:.3f}" in said
        assert f"{len(why.reasons)} source" in said
        assert all(one.source in said for one in why.reasons)
        assert all(f"{one.feature} = " in said and one.meaning in said for one in why.features[:12])
        bars = [float(one) for one in re.findall(r'class="adds">([+-][\d.]+)', told)]
        assert bars[:12] == [round(one.contribution, 3) for one in why.features[:12]]
        assert math.isclose(sum(bars), why.score - why.base, abs_tol=0.02)
        assert max(float(one) for one in re.findall(r"width:([\d.]+)%", told)) == 50
        pressed = [one["data-why"] for _, one in Reader(told).tags if one.get("aria-pressed") == "true"]
        assert pressed == ["", str(item)]
    assert desk.why(visit)[1] == told
    other = desk.why(visit, "", "clicks")[1]
    best = shop.recommender.recommend(events, "clicks").items[0]
    assert f'data-why="{best}" data-target="clicks" aria-pressed="true"' in other


def test_what_no_model_ranked_has_its_sources(desk):
    told = desk.why(Visit())[1]
    assert "popularity_orders" in told
    assert "what many are after now" in told
    assert "A session without known items is not ranked: the sources" in told


def test_visitors_at_once_do_not_mix(desk, shop):
    names = desk.examples(24)
    alone = {name: desk.pick(Visit(), name) for name in names}

    def visitor(seed: int):
        draw = random.Random(seed)
        order = draw.sample(names, len(names))
        visit, seen = Visit(), []
        for name in order:
            visit, view = desk.pick(visit, name)
            seen.append((visit.session, view) == (alone[name][0].session, alone[name][1]))
        return seen, [one.name for one in visit.earlier[1:]] == [str(name) for name in order[:-1]]

    with ThreadPoolExecutor(6) as pool:
        for seen, order_kept in pool.map(visitor, range(6)):
            assert all(seen)
            assert order_kept


class TestCommandLine:
    def test_help_shows_an_example(self, capsys):
        with pytest.raises(SystemExit) as left:
            command.main(["--help"])
        assert left.value.code == 0
        text = capsys.readouterr().out
        assert "example: python -m scripts.demo --run runs/shop" in text
        assert "127.0.0.1" in text

    @pytest.mark.skipif(shutil.which("make") is None, reason="there is no make on this machine")
    def test_make_comes_down_to_it(self):
        for goal, wanted in (
            (["demo"], "-m scripts.demo --run runs/shop"),
            (["demo", "RUN=runs/other"], "-m scripts.demo --run runs/other"),
            (["test-demo"], "-m pytest -q tests/demo"),
        ):
            done = subprocess.run(["make", "--dry-run", *goal], cwd=ROOT, capture_output=True, text=True, check=True)
            assert f".cache/demo-venv/bin/python {wanted}\n" in done.stdout

    def test_mistakes_are_one_line(self, tmp_path, folder, capsys):
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "letter.txt").write_text("mine")
        for arguments, said in (
            (["--run", str(tmp_path)], "make run"),
            (["--run", str(tmp_path / "none"), "--export", str(tmp_path / "space")], "make run"),
            (["--run", str(folder), "--port", "0"], "there is no such port"),
            (["--run", str(folder), "--host", "192.0.2.1", "--port", "7999"], "no such address"),
            (["--run", str(folder), "--export", str(tmp_path / "full")], "something else is there"),
        ):
            if "--export" not in arguments and "gradio" not in _installed():
                said = "make demo"
            assert command.main(arguments) == 2
            error = capsys.readouterr().err
            assert error.startswith("error: ")
            assert said in error
            assert error.count("\n") == 1
        assert not (tmp_path / "space").exists()
        assert (tmp_path / "full" / "letter.txt").exists()

    def test_a_taken_port_is_stepped_over_or_said(self):
        import socket

        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(InputError, match=str(port)):
                command.free_port("127.0.0.1", [port])
            assert command.free_port("127.0.0.1", range(port, port + 50)) > port


def _installed() -> set[str]:
    from importlib.util import find_spec

    return {"gradio"} if find_spec("gradio") else set()


def test_a_run_whose_ids_stand_for_several_rows_has_no_examples(shop, monkeypatch):
    other = Shop(shop.recommender, shop.names, shop.sources, [])
    desk = Desk(other)
    assert desk.examples(3) == []
    visit, view = desk.pick_any(Visit())
    assert visit == Visit()
    assert "no sessions to pick from" in view.said
