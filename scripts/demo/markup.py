"""HTML of the page; every text from outside is escaped here, and here only."""

from html import escape
from typing import Any, Final

TEMPLATES: Final = str.maketrans({"{": "&#123;", "}": "&#125;", "$": "&#36;", "`": "&#96;"})
"""Gradio fills HTML in through templates, in which these characters mean something."""


def safe(text: Any) -> str:
    """Text that stands for itself, in an element or in an attribute with quotes.

    >>> safe("<b title='{{x}}'>")
    '&lt;b title=&#x27;&#123;&#123;x&#125;&#125;&#x27;&gt;'
    """
    return escape(str(text).encode("utf-8", "replace").decode(), quote=True).translate(TEMPLATES)


def tag(name: str, *inside: str, kind: str = "", **attributes: Any) -> str:
    """An element with HTML inside; attributes are texts, ``data_item`` stands for ``data-item``, ``None`` for nothing.

    >>> tag("button", safe("<12>"), kind="item", data_add="a&b")
    '<button class="item" data-add="a&amp;b">&lt;12&gt;</button>'
    """
    given = {"class": kind or None, **attributes}
    said = "".join(f' {key.replace("_", "-")}="{safe(one)}"' for key, one in given.items() if one is not None)
    return f"<{name}{said}>{''.join(inside)}</{name}>"


def line(text: str, wrong: bool = False) -> str:
    """A line that a screen reader reads out as it comes; nothing for no text."""
    return tag("p", safe(text), kind="said wrong" if wrong else "said", role="status") if text else ""
