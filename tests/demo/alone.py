"""An exported folder that a process of its own has opened, and the kernels for it."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from events.compiled import FLOORS, ROOT

WATCH = """
import atexit, os, sys
opened = set()
def seen(event, given):
    if event == "open" and isinstance(given[0], str) and os.path.abspath(given[0]).startswith(os.path.abspath("run")):
        opened.add(os.path.relpath(given[0], "run"))
sys.addaudithook(seen)
atexit.register(lambda: open("../opened", "w").write("\\n".join(sorted(opened))))
"""
"""Before the check: note which of the run's files are opened."""


@dataclass(frozen=True)
class Alone:
    """The folder, its kernels, its sizes, what the process said, and the files of the run that it opened."""

    space: Path
    kernels: Path
    sizes: dict[str, int]
    said: dict[str, Any]
    opened: frozenset[str]


def seed_kernels(cache: Path, folder: Path) -> None:
    """Give the copy in ``folder`` the kernels that this process has compiled: half a minute less.

    Numba names the folder of a module's kernels by the digest of where the module lies.
    """
    for package in FLOORS:
        for inside in [ROOT / package, *(ROOT / package).rglob("*/")]:
            copy = folder / inside.relative_to(ROOT)
            names = [f"{one.name}_{hashlib.sha1(str(one).encode()).hexdigest()}" for one in (inside, copy)]
            kept = Path(os.environ["NUMBA_CACHE_DIR"]) / names[0]
            if kept.is_dir():
                shutil.copytree(kept, cache / names[1])
