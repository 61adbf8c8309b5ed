"""The page, served by a process of its own, in a real Chromium without a window."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from events.compiled import ROOT

PICTURES = ROOT / ".cache" / "demo"
DESKTOP, PHONE = 1280, 390
LOCAL = re.compile(r"^(http://127\.0\.0\.1:\d+/|data:|blob:)")


def why_not() -> str:
    """Why there can be no browser test here; nothing if there can."""
    missing = [name for name in ("gradio", "playwright") if find_spec(name) is None]
    if missing:
        return f"{' and '.join(missing)} not installed: make test-demo"
    return "" if chromium() else "no chromium on this machine: apt-get install chromium"


def chromium() -> str | None:
    """Path of the browser."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def served(words: list[str], cwd: Path, log: Path, **environment: str) -> Iterator[str]:
    """Address of a page that ``python <words> --port`` or the variables of a hosting space bring up; it ends after."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [str(port) if word == "PORT" else word for word in words]
    given = {**os.environ, "GRADIO_SERVER_PORT": str(port), **environment}
    with log.open("w") as out:
        process = subprocess.Popen([sys.executable, *words], cwd=cwd, env=given, stdout=out, stderr=out)
        try:
            address = f"http://127.0.0.1:{port}/"
            _wait_for(address, process, log)
            yield address
        finally:
            process.terminate()
            process.wait(30)


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        try:
            urlopen(address, timeout=5).close()
            return
        except (URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(f"no page at {address}: {log.read_text()}")


class Tab:
    """One visitor's tab: what a test reads and does on the page, and what went wrong in it."""

    def __init__(self, browser: Any, address: str, width: int = DESKTOP, scheme: str = "light") -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, has_touch=width == PHONE
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.wrong: list[str] = []
        self.foreign: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda said: self.wrong.append(said.text) if said.type == "error" else None)
        self.page.on("request", lambda sent: None if LOCAL.match(sent.url) else self.foreign.append(sent.url))
        self.page.goto(address)
        self.page.wait_for_selector(".entry")

    def close(self) -> None:
        """Leave; nothing may have gone wrong, nothing may have been asked of other machines."""
        toasts = self.page.locator(".toast-body").all_inner_texts()
        self.context.close()
        assert (self.wrong, self.foreign, toasts) == ([], [], [])

    def events(self) -> list[tuple[str, str]]:
        """Type and item of the session's events, the first one first."""
        shown = self.page.locator(".strip .event").evaluate_all(
            "all => all.map(one => [one.className.replace('event ', ''), one.dataset.event])"
        )
        return [(kind, item) for kind, item in reversed(shown)]

    def wait_for_events(self, n: int) -> None:
        """Until the session has so many."""
        self.page.wait_for_selector(f'.strip[data-events="{n}"]', state="attached")

    def listed(self, target: str) -> list[str]:
        """Items of a list."""
        found: list[str] = self.page.locator(f".list.{target} .item").evaluate_all(
            "all => all.map(one => one.dataset.add)"
        )
        return found

    def said(self) -> str:
        """The line that tells of mistakes."""
        line = self.page.locator("#said p")
        return line.inner_text() if line.count() else ""

    def type(self, text: str) -> None:
        """Fill the line in and ask."""
        self.page.fill("#typed input, #typed textarea", text)
        self.page.click("#ask")

    def too_wide(self) -> list[str]:
        """What reaches over the right edge of the window, unless it lies in something that scrolls by itself."""
        found: list[str] = self.page.evaluate(
            """() => [document.documentElement.scrollWidth > innerWidth ? 'the page' : '',
                ...[...document.querySelectorAll('.gradio-container *')].filter(one => one.checkVisibility()
                    && !one.closest('.picks, .visually-hidden') && one.getBoundingClientRect().right > innerWidth + 1
                ).map(one => one.tagName + '.' + one.className)].filter(Boolean)"""
        )
        return found

    def faint(self, where: str) -> list[str]:
        """Texts whose contrast with what is behind them is under 4.5, the least for small text (WCAG 2.2, 1.4.3)."""
        found: list[str] = self.page.evaluate(CONTRAST, where)
        return found

    def picture(self, name: str) -> None:
        """The whole page as a picture to look at."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.mouse.move(0, 0)
        self.page.wait_for_timeout(250)
        self.page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


CONTRAST = """where => {
    const numbers = text => (text.match(/[\\d.]+/g) || []).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(x => x / 255)
        .map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
        .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = one => {
        for (; one; one = one.parentElement) {
            const colour = numbers(getComputedStyle(one).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    return [...document.querySelectorAll(where)].filter(one => one.checkVisibility() && one.innerText.trim())
        .map(one => {
            const [a, b] = [light(numbers(getComputedStyle(one).color)), light(behind(one))].sort((x, y) => y - x);
            return [(a + 0.05) / (b + 0.05), one];
        })
        .filter(([ratio]) => ratio < 4.5)
        .map(([ratio, one]) => ratio.toFixed(2) + ' ' + one.className + ' ' + one.innerText.slice(0, 20));
}"""
