"""The demo in a real browser: every way to a session, reasons, nonsense, haste, two visitors, a phone, the dark."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from events.columns import TARGETS
from events.compiled import ROOT
from tests.demo.alone import Alone
from tests.demo.browser import DESKTOP, PHONE, Tab, chromium, served, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "it can be run")
HASTE = 20
HEAD = "text => document.querySelector('#session h3').innerText.includes(text)"
TEXTS = "button, h1, h3, h4, small, p, .strip *, .item *, .source *, .rest, .meaning, .feature, .adds"
LOW = "[...document.querySelectorAll('.pick, .kind')].filter(x => x.getBoundingClientRect().height < 24).length"
"""Buttons that are too low for a finger (WCAG 2.2, 2.5.8)."""
NONSENSE = ["letters", "12:views", "\U0001f600 \U0001f6d2", "<img src=x onerror=alert(1)>", "1.5", "1 " * 10_000,
            "9" * 5_000, str(2**70), "{{value}} ${1}", "12;DROP TABLE items"]  # fmt: skip


@pytest.fixture(scope="module")
def address(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with served(["-m", "scripts.demo", "--run", str(folder), "--port", "PORT"], ROOT, log) as found:
        yield found
    text = log.read_text()
    assert "Traceback" not in text, text
    assert text.startswith(found.rstrip("/")), text


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        made = play.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        yield made
        made.close()


@pytest.fixture
def tab(browser: Any, address: str) -> Iterator[Tab]:
    made = Tab(browser, address)
    yield made
    made.close()


def expected(shop: Any, events: list[tuple[str, str]]) -> dict[str, list[str]]:
    """The run's lists for a session without times."""
    found = shop.recommender.recommend_all([(int(item), None, kind) for kind, item in events])
    return {target: [str(item) for item in one.items] for target, one in found.items()}


def test_a_session_of_the_run_is_picked(tab, shop):
    tab.page.click("#any")
    tab.page.wait_for_function(HEAD, arg="of the run")
    for step in range(2):
        name = int(re.search(r"session (\d+) of the run", tab.page.inner_text("#session h3")).group(1))
        wanted = shop.recommender.recommend_session(name)
        assert {t: tab.listed(t) for t in TARGETS} == {t: [str(x) for x in wanted[t].items] for t in TARGETS}
        assert [item for _, item in tab.events()] == [str(one["aid"]) for one in shop.recommender.events_of(name)]
        if step == 0:
            tab.page.click("#pick input")
            option = tab.page.locator("ul[role=listbox] li").nth(4)
            other = option.inner_text().strip().removeprefix("✓").strip()
            option.click()
            tab.page.wait_for_function(HEAD, arg=other)


def test_a_session_is_typed(tab, shop):
    some = shop.recommender.recommend([]).items[:2]
    tab.type(f"{some[0]} {some[1]}:carts 999999999:orders")
    tab.wait_for_events(3)
    assert tab.events() == [("clicks", str(some[0])), ("carts", str(some[1])), ("orders", "999999999")]
    assert {t: tab.listed(t) for t in TARGETS} == expected(shop, tab.events())
    assert "does not know it: 999999999" in tab.said()
    tab.page.fill("#typed input, #typed textarea", str(some[1]))
    tab.page.keyboard.press("Enter")
    tab.wait_for_events(1)
    assert tab.said() == ""


def test_a_session_is_clicked_together(tab, shop):
    cold = {t: tab.listed(t) for t in TARGETS}
    assert cold == expected(shop, [])
    assert "what is popular" in tab.page.inner_text("p.hint")
    wanted = []
    for n, (kind, where) in enumerate(
        [("clicks", "#popular .chip"), ("carts", ".list.clicks .item"), ("orders", ".list.orders .item")], 1
    ):
        tab.page.check(f"#kind input[value={kind}]")
        button = tab.page.locator(where).nth(2)
        wanted.append((kind, button.get_attribute("data-add")))
        button.click()
        tab.wait_for_events(n)
        assert tab.events() == wanted
        assert {t: tab.listed(t) for t in TARGETS} == expected(shop, wanted)
        assert tab.page.locator("p.hint").count() == 0
    tab.page.locator(".list.carts .item").nth(5).focus()
    tab.page.keyboard.press("Enter")
    tab.wait_for_events(4)
    tab.page.click("#undo")
    tab.wait_for_events(3)
    tab.page.click("#clear")
    tab.wait_for_events(0)
    assert {t: tab.listed(t) for t in TARGETS} == cold
    tab.page.click("#undo")
    tab.wait_for_events(3)
    assert tab.events() == wanted


def test_nonsense_is_one_line_and_changes_nothing(tab):
    tab.page.locator("#popular .chip").first.click()
    tab.wait_for_events(1)
    events, lists = tab.events(), tab.page.inner_html(".lists")
    before = ""
    for text in NONSENSE:
        tab.type(text)
        tab.page.wait_for_function("old => (document.querySelector('#said p')?.innerText ?? '') !== old", arg=before)
        before = tab.said()
        assert tab.page.locator("#said p.wrong").count() == 1
        assert 10 < len(before) < 400
        assert "Traceback" not in before
        assert (tab.events(), tab.page.inner_html(".lists")) == (events, lists)
        assert tab.too_wide() == []
    tab.picture("nonsense")
    tab.type("-5:clicks -6")
    tab.wait_for_events(2)
    assert "So every list holds what is popular." in tab.said()


def test_haste_neither_loses_nor_doubles_an_event(tab, shop):
    chips = tab.page.locator("#popular .chip")
    offered = chips.evaluate_all("all => all.map(one => one.dataset.add)")
    boxes = [chips.nth(i).bounding_box() for i in range(len(offered))]
    middles = [(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for box in boxes]
    wanted = [("clicks", offered[i * 5 % len(offered)]) for i in range(HASTE)]
    for i in range(HASTE):
        tab.page.mouse.click(*middles[i * 5 % len(offered)])
    tab.wait_for_events(HASTE)
    tab.page.wait_for_timeout(500)
    assert tab.events() == wanted
    assert {t: tab.listed(t) for t in TARGETS} == expected(shop, wanted)
    # Rows that are drawn anew under the pointer: what counts is what it went down on, if that was an item.
    tab.page.evaluate(
        """() => { window.pressed = []; document.addEventListener('pointerdown', event => {
            const item = event.target.closest('[data-add]'); if (item) pressed.push(item.dataset.add); }, true) }"""
    )
    for _ in range(HASTE):
        box = tab.page.locator(".list.carts .item").nth(1).bounding_box()
        tab.page.mouse.move(box["x"] + 60, box["y"] + 10)
        tab.page.mouse.down()
        tab.page.wait_for_timeout(15)
        tab.page.mouse.up()
    wanted += [("clicks", item) for item in tab.page.evaluate("pressed")]
    assert len(wanted) > 1.5 * HASTE
    tab.wait_for_events(len(wanted))
    assert tab.events() == wanted
    box = tab.page.locator("#undo").bounding_box()
    for _ in range(5):
        tab.page.mouse.click(box["x"] + 8, box["y"] + 8)
    tab.wait_for_events(len(wanted) - 5)
    tab.page.wait_for_timeout(500)
    assert tab.events() == wanted[:-5]
    # All of them in one instant, as no hand could.
    tab.page.click("#clear")
    tab.wait_for_events(0)
    chips.evaluate_all("(all, n) => { for (let i = 0; i < n; i++) all[i % all.length].click(); }", HASTE)
    tab.wait_for_events(HASTE)
    tab.page.wait_for_timeout(500)
    assert tab.events() == [("clicks", offered[i % len(offered)]) for i in range(HASTE)]


def test_two_visitors_at_once_do_not_mix(browser, address, shop):
    tabs = [Tab(browser, address), Tab(browser, address)]
    wanted: list[list[tuple[str, str]]] = [[], []]
    for mine, kind in enumerate(("clicks", "orders")):
        tabs[mine].page.check(f"#kind input[value={kind}]")
    for i in range(8):
        for mine, kind in enumerate(("clicks", "orders")):
            chip = tabs[mine].page.locator("#popular .chip").nth((i * (mine + 2)) % 12)
            wanted[mine].append((kind, chip.get_attribute("data-add")))
            chip.click()
    for mine, one in enumerate(tabs):
        one.wait_for_events(8)
        assert one.events() == wanted[mine]
        assert {t: one.listed(t) for t in TARGETS} == expected(shop, wanted[mine])
    tabs[0].page.click("#clear")
    tabs[0].wait_for_events(0)
    assert tabs[1].events() == wanted[1]
    tabs[1].page.reload()
    tabs[1].wait_for_events(0)
    for one in tabs:
        one.close()


def test_how_a_score_came_about(tab, shop):
    tab.page.click("#any")
    tab.page.wait_for_selector(".strip .event")
    name = int(re.search(r"session (\d+)", tab.page.inner_text("#session h3")).group(1))
    for place in (3, 7):
        item = tab.listed("orders")[place]
        if place == 3:
            tab.page.locator(".list.orders .why").nth(place).click()
        else:
            tab.page.locator(".pick").nth(place).click()
        tab.page.wait_for_selector(f".told :text('place {place + 1} of')")
        assert tab.page.get_attribute("[role=tab][data-tab-id=why]", "aria-selected") == "true"
        assert tab.page.evaluate("scrollY") == 0
        why = shop.recommender.explain_session(name, int(item), "orders")
        rows = tab.page.locator(".bars li")
        for row, one in enumerate(why.features):
            text = rows.nth(row).inner_text()
            assert one.feature in text
            assert one.meaning in text
            assert f"{one.contribution:+.3f}" in text
        assert tab.page.locator(".bars .up, .bars .down").count() == rows.count()
        assert f"= {why.score:.3f}" in tab.page.inner_text(".sum")
        assert all(one.source in tab.page.inner_text(".proposed") for one in why.reasons)
    tab.page.click(".kind:text('clicks')")
    tab.page.wait_for_selector(".told :text('for clicks')")
    tab.page.click("[role=tab][data-tab-id=lists]")
    tab.page.click("#clear")
    tab.wait_for_events(0)
    tab.page.click("[role=tab][data-tab-id=why]")
    tab.page.wait_for_selector("p.hint:visible :text('is not ranked'), p.hint:text('is not ranked')")
    assert "popularity_clicks" in tab.page.inner_text(".proposed")


def test_names_are_text(tab):
    tab.page.wait_for_timeout(300)
    text = tab.page.inner_text("#popular") + tab.page.inner_text(".lists")
    assert "<img src=x" in text
    assert "{{value}}" in text
    assert "${1}" in text
    assert tab.page.title() == "Cartograph"
    assert tab.page.locator("img[src=x]").count() == 0
    assert "maker & " in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_every_page_is_whole_at_every_width_and_in_the_dark(browser, address, width, scheme):
    tab = Tab(browser, address, width, scheme)
    page = tab.page
    ground = [int(x) for x in re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))[:3]]
    assert (max(ground) < 60) == (scheme == "dark")
    tap = page.tap if width == PHONE else page.click
    for step in ("cold", "session", "why"):
        if step == "session":
            tap("#popular .chip >> nth=3")
            tab.wait_for_events(1)
            tap(".list.carts .item >> nth=2")
            tab.wait_for_events(2)
        if step == "why":
            tap(".list.orders .why >> nth=2")
            page.wait_for_selector(".bars")
        page.wait_for_timeout(300)
        assert tab.too_wide() == []
        assert (
            tab.faint("button, h1, h3, h4, small, p, .strip *, .item *, .source *, .rest, .meaning, .feature, .adds")
            == []
        )
        tab.picture(f"{step}_{width}_{scheme}")
    if width == PHONE:
        assert page.evaluate(LOW) == 0
    tap("[role=tab][data-tab-id=lists]")
    assert len(tab.events()) == 2
    tab.close()


def test_the_exported_folder_is_served_as_it_is(browser, alone: Alone, tmp_path):
    given = {
        "NUMBA_CACHE_DIR": str(alone.kernels),
        "PYTHONPATH": "",
        "GRADIO_SERVER_NAME": "0.0.0.0",
    }  # as in the image
    with served(["-m", "app"], alone.space, tmp_path / "log.txt", **given) as address:
        tab = Tab(browser, address)
        tab.page.click("#any")
        tab.page.wait_for_selector(".strip .event")
        assert len(tab.listed("orders")) == 20
        tab.page.locator(".list.orders .why").nth(1).click()
        tab.page.wait_for_selector(".bars")
        tab.close()
    assert "Traceback" not in (tmp_path / "log.txt").read_text()


def test_it_listens_to_this_machine_alone(address):
    if not sys.platform.startswith("linux"):
        pytest.skip("who listens where is read from /proc")
    port = f"{int(address.rstrip('/').rpartition(':')[2]):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = {row[1].split(":")[0] for row in rows if row[1].endswith(f":{port}") and row[3] == "0A"}
    assert listening == {"0100007F"}
