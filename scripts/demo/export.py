"""A folder that holds all the page needs: the program, the run as far as it is asked, exact requirements.

It can be uploaded to a hosting space as it is, or made into an image by its Dockerfile. Before it takes its name it is
opened by a process of its own that knows nothing of the checkout; the packages that process has loaded are among those
that ``requirements.txt`` pins.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from events.compiled import FLOORS
from events.errors import InputError
from events.files import atomic_folder
from events.passes import PassData
from rankers.opening import latest_pass
from scripts.demo.export_data import copy_run
from scripts.demo.export_program import copy_program, locked, pins
from scripts.demo.export_texts import APP, DOCKERFILE, LARGE_FILES, PACKAGES, README, SDKS
from scripts.demo.shop import need_finished

PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
CHECK: Final = """
import json, sys
from pathlib import Path
from scripts.demo.desk import Desk
from scripts.demo.shop import Shop
from scripts.demo.visit import Visit
desk = Desk(Shop.open(Path("run")))
visit, _ = desk.pick_any(Visit())
if not visit.session.events:
    visit, _ = desk.type(visit, str(desk.shop.recommender.recommend([]).items[0]))
desk.why(visit)
found = desk.shop.recommender.recommend_all(list(visit.session.events))
print(json.dumps({
    "session": visit.session.name,
    "lists": {target: one.items for target, one in found.items()},
    "modules": sorted({name.partition(".")[0] for name in sys.modules}),
    "files": sorted({str(one.__file__) for one in sys.modules.values() if getattr(one, "__file__", None)}),
}))
"""
"""Opens the folder, and asks it all that the page asks."""


def export(run: Path, folder: Path, sdk: str = "docker") -> dict[str, int]:
    """Write the folder, which is whole or absent; bytes of the run's copy, ``run``, and of everything, ``all``.

    sdk : kind of the hosting space, of ``SDKS``

    Raises
    ------
    InputError
        If there is no finished run, ``folder`` holds something else, or the copy cannot be asked alone.
    """
    need_finished(run)
    if folder.exists() and not (folder / "app.py").exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(folder, None, "something else is there", "name a folder that is new, or was exported")
    lines = locked()
    with atomic_folder(folder) as beside:
        copy_program(beside)
        copy_run(run, beside / "run", latest_pass(run))
        (beside / "app.py").write_text(APP, encoding="utf-8")
        head = SDKS[sdk].format(python=PYTHON, gradio=lines["gradio"].partition("==")[2])
        _write_texts(run, beside, pins(ask_alone(beside)["modules"], lines), head)
    return {"run": _bytes(folder / "run"), "all": _bytes(folder)}


def ask_alone(folder: Path) -> dict[str, Any]:
    """Open the folder in a process that finds nothing of the checkout; what it says.

    Raises
    ------
    InputError
        If it cannot be opened or asked.
    """
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", CHECK], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it ended early"])[-1]
        remedy = "sources and retrievers of your own cannot be taken along: leave them out"
        raise InputError(folder, None, f"the copy cannot be asked ({last})", remedy)
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _write_texts(run: Path, folder: Path, requirements: list[str], sdk: str) -> None:
    copies = "\n".join(f"COPY --chown=visitor {name} ./{name}" for name in [*FLOORS, "scripts", "run", "app.py"])
    kept = len(PassData.load(folder / "run" / "prepared" / latest_pass(folder / "run")).log)
    facts = {"run": run.resolve().name, "sessions": f"{kept:,}", "size": f"{_bytes(folder / 'run') / 1e6:.1f} MB"}
    texts = {
        "requirements.txt": "".join(f"{line}\n" for line in requirements),
        "packages.txt": PACKAGES,
        "Dockerfile": DOCKERFILE.format(python=PYTHON, copies=copies),
        ".gitattributes": LARGE_FILES,
        "README.md": README.format(sdk=sdk, **facts),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
