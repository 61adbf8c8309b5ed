"""What is typed, what mistakes read like, how items are called, and that no text becomes markup."""

from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import InputError
from scripts.demo.markup import line, safe, tag
from scripts.demo.names import Item, Names
from scripts.demo.typed import mistake, read_typed
from scripts.demo.visit import MOST_EVENTS
from scripts.recommend import read_session
from tests.demo.conftest import EVIL


class Reader(HTMLParser):
    """Texts and tags of a piece of HTML."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)


@given(st.text())
def test_any_text_stands_for_itself(text):
    assert unescape(safe(text)) == text
    assert not set("<>\"'{}$`") & set(safe(text))


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\x00")))
def test_an_element_holds_what_it_is_given(text):
    found = Reader(tag("p", safe(text), data_item=text, title=None))
    assert found.tags == [("p", {"data-item": text})]
    assert "".join(found.texts) == text


def test_a_line_says_whether_something_is_wrong():
    assert line("") == ""
    assert Reader(line("a <b>", wrong=True)).tags == [("p", {"class": "said wrong", "role": "status"})]


def test_the_parser_is_that_of_the_command_line():
    text = "12:clicks 55:carts  7\n9:orders"
    assert list(read_typed(text, str)) == read_session(text)
    assert read_typed("  ", int) == ()


@pytest.mark.parametrize(
    "text", ["x", "12:views", "😀", "<b>12</b>", "1 " * 10_000, "9" * 5_000, "1.5", "12,13", ":carts"]
)
def test_nonsense_is_one_short_line(text):
    def id_of(one: str) -> int:
        try:
            return int(one)
        except ValueError:
            raise InputError(f"item {one}", None, "the ids of this shop are whole numbers", "give one") from None

    with pytest.raises(InputError) as found:
        read_typed(text, id_of)
    said = mistake(found.value)
    assert len(said) < 400
    assert "\n" not in said
    assert said[0].isupper() or not said[0].isalpha()


def test_as_many_events_as_may_be_typed():
    assert len(read_typed("1 " * MOST_EVENTS, int)) == MOST_EVENTS


def test_items_have_the_names_that_the_run_has(shop, folder):
    names = Names.open(folder)
    ids = names.index.ids.to_list()
    unnamed, named = ids[0], next(one for one in ids[1:] if one % 3)
    evil = next(one for place, one in enumerate(ids) if one % 3 == 0 and place % 10)
    found = names.of([unnamed, named, evil, 2**40, -5])
    assert found[unnamed] == Item(unnamed)
    assert found[unnamed].label == str(unnamed)
    assert found[2**40] == Item(2**40)
    assert found[-5] == Item(-5)
    assert found[named].name == f"fine thing {named}"
    assert found[named].more == f"maker & {named % 5}, sort {named % 7}, {named / 4:.2f}"
    assert found[evil].name.startswith(EVIL[:10])
    assert len(found[evil].name) < 70


def test_a_run_without_names_has_ids_alone(folder):
    names = Names(Names.open(folder).index, Names.open(folder).known.select([]))
    assert names.of([1, 2]) == {1: Item(1), 2: Item(2)}
