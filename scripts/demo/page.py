"""The page in Gradio: what stands where, and which act follows which event."""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported; the page asks nothing of the network

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

try:
    import gradio as gr
except ModuleNotFoundError:  # it is an extra
    gr = None

from scripts.demo.desk import Desk, View
from scripts.demo.visit import Visit

HERE: Final = Path(__file__).resolve().parent
EXAMPLES: Final = 12
"""Sessions of the run that are offered to pick from."""
IN_TURN: Final[dict[str, Any]] = {
    "trigger_mode": "multiple",
    "concurrency_limit": 1,
    "concurrency_id": "visits",
    "show_progress": "hidden",
    "api_visibility": "private",
}
"""Every click counts, however quick, and each starts from what the one before it left."""
PLAIN: Final[dict[str, Any]] = {"apply_default_css": False, "padding": False}
"""HTML that looks as the style sheet says."""
TITLE: Final = "<h1>Cartograph</h1><p>What a shop's visitor looks at, puts into the cart and buys next.</p>"
SANS: Final = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "DejaVu Sans", "sans-serif"]
MONO: Final = ["ui-monospace", "DejaVu Sans Mono", "monospace"]


def theme() -> Any:
    """Fonts of the visitor's machine, colours of the style sheet."""
    return gr.themes.Base(font=SANS, font_mono=MONO).set(
        body_background_fill="var(--paper)",
        body_background_fill_dark="var(--paper)",
        body_text_color="var(--ink)",
        body_text_color_dark="var(--ink)",
        background_fill_primary="var(--card)",
        background_fill_primary_dark="var(--card)",
        background_fill_secondary="var(--faint)",
        background_fill_secondary_dark="var(--faint)",
        block_background_fill="var(--card)",
        block_background_fill_dark="var(--card)",
        border_color_primary="var(--rule)",
        border_color_primary_dark="var(--rule)",
        block_label_text_color="var(--soft)",
        block_label_text_color_dark="var(--soft)",
        block_title_text_color="var(--soft)",
        block_title_text_color_dark="var(--soft)",
        input_border_width="1px",
        input_border_color="var(--rule)",
        input_border_color_dark="var(--rule)",
        input_placeholder_color="var(--soft)",
        input_placeholder_color_dark="var(--soft)",
        input_background_fill="var(--paper)",
        input_background_fill_dark="var(--paper)",
        button_primary_background_fill="var(--accent)",
        button_primary_background_fill_dark="var(--accent)",
        button_primary_background_fill_hover="var(--accent)",
        button_primary_background_fill_hover_dark="var(--accent)",
        button_primary_text_color="var(--paper)",
        button_primary_text_color_dark="var(--paper)",
        button_secondary_background_fill="var(--faint)",
        button_secondary_background_fill_dark="var(--faint)",
        button_secondary_text_color="var(--ink)",
        button_secondary_text_color_dark="var(--ink)",
        color_accent="var(--accent)",
        color_accent_soft="var(--wash)",
        color_accent_soft_dark="var(--wash)",
    )


def build(desk: Desk) -> Any:
    """The page: Gradio's ``Blocks``, with a ``Visit`` of its own for every browser."""
    script = (HERE / "page.js").read_text(encoding="utf-8")
    opening = desk.show(Visit())[1]
    sessions = [(f"session {one}", one) for one in desk.examples(EXAMPLES)]
    with gr.Blocks(title="Cartograph", analytics_enabled=False, fill_width=True) as page:
        visit = gr.State(Visit())
        gr.HTML(TITLE, elem_id="title", **PLAIN)
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Session and lists", id="lists"):
                with gr.Row(elem_id="controls"):
                    with gr.Column(min_width=280):
                        pick = gr.Dropdown(sessions, value=None, label="Pick one of the run's sessions", elem_id="pick")
                        any_one = gr.Button("A random one", elem_id="any", size="sm")
                    with gr.Column(min_width=280):
                        text = gr.Textbox(
                            label="Or type one: ITEM or ITEM:TYPE",
                            placeholder="12:clicks 55:carts",
                            elem_id="typed",
                            max_lines=1,
                        )
                        ask = gr.Button("Show its lists", elem_id="ask", size="sm")
                    with gr.Column(min_width=280):
                        gr.Radio(
                            list(desk.targets),
                            value=desk.targets[0],
                            label="Or click items; each click adds to the",
                            elem_id="kind",
                            interactive=True,  # page.js reads it
                        )
                popular = gr.HTML(desk.popular, elem_id="popular", js_on_load=script, **PLAIN)
                strip = gr.HTML(opening.session, elem_id="session", js_on_load=script, **PLAIN)
                said = gr.HTML(opening.said, elem_id="said", **PLAIN)
                lists = gr.HTML(opening.lists, elem_id="lists", js_on_load=script, **PLAIN)
            with gr.Tab("How this score came about", id="why") as why_tab:
                why = gr.HTML("", elem_id="why", js_on_load=script, **PLAIN)
        shown = [visit, said, strip, lists]
        any_one.click(_flat(desk.pick_any), [visit], shown, **IN_TURN)
        pick.input(_flat(desk.pick), [visit, pick], shown, **IN_TURN)
        text.submit(_flat(desk.type), [visit, text], shown, **IN_TURN)
        ask.click(_flat(desk.type), [visit, text], shown, **IN_TURN)
        for one in (popular, strip, lists):
            one.click(_acting(desk), [visit], shown, **IN_TURN)
        lists.select(_asking(desk), [visit], [visit, why, tabs], **IN_TURN)
        why.select(_asking(desk), [visit], [visit, why, tabs], **IN_TURN)
        why_tab.select(lambda now: desk.why(now), [visit], [visit, why], **IN_TURN)
    return page


def _flat(act: Callable[..., tuple[Visit, View]]) -> Callable[..., tuple[Any, ...]]:
    """An act as Gradio wants it: a value for each output."""

    def flat(*given: Any) -> tuple[Any, ...]:
        visit, view = act(*given)
        return visit, *view

    return flat


def _told(event: Any) -> dict[str, Any]:
    """What ``page.js`` sent; nothing if it was somebody else."""
    told = event._data
    return told if isinstance(told, dict) else {}


def _acting(desk: Desk) -> Callable[..., tuple[Any, ...]]:
    def act(visit: Visit, event: gr.EventData) -> tuple[Any, ...]:
        after, view = desk.act(visit, _told(event).get("acts"))
        return after, *view

    return act


def _asking(desk: Desk) -> Callable[..., tuple[Any, ...]]:
    def ask(visit: Visit, event: gr.EventData) -> tuple[Any, ...]:
        told = _told(event)
        after, shown = desk.why(visit, str(told.get("why", "")), str(told.get("list", "")))
        return after, shown, gr.Tabs(selected="why")

    return ask


def serve(desk: Desk, host: str, port: int | None, wait: bool = True) -> Any:
    """Serve the page; returns at once unless it is to ``wait``.

    Raises
    ------
    OSError
        If the port is taken.
    """
    page = build(desk)
    page.queue(api_open=False)
    page.launch(
        server_name=host,
        server_port=port,
        share=False,
        quiet=True,
        prevent_thread_lock=not wait,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        theme=theme(),
        css_paths=HERE / "page.css",
    )
    return page
