"""The program of an exported folder: which sources it needs, and which packages at which versions."""

import ast
import re
import shutil
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

from events.compiled import FLOORS, ROOT
from events.errors import InputError

LOCKS: Final = (Path("requirements.lock"), Path("scripts", "demo", "requirements.lock"))
"""Versions of the project, and those that the demo adds or has another of."""
TEST_TOOLS: Final = ("greenlet", "playwright")
"""Of the demo's, for its tests alone."""
GRADIO_TAKES: Final = (
    "filelock",
    "fsspec",
    "jinja2",
    "markupsafe",
    "numpy",
    "packaging",
    "pandas",
    "pydantic",
    "pygments",
    "pytz",
    "pyyaml",
    "tqdm",
    "typing-extensions",
)
"""Of the project's packages, those that Gradio and what comes with it needs."""


def copy_program(folder: Path) -> None:
    """The packages below ``scripts``, whole, and of ``scripts`` what the demo imports."""
    junk = shutil.ignore_patterns("__pycache__", "*.pyc")
    for package in FLOORS:
        shutil.copytree(ROOT / package, folder / package, ignore=junk)
    shutil.copytree(ROOT / "scripts" / "demo", folder / "scripts" / "demo", ignore=junk)
    for path in imported_scripts(ROOT / "scripts", "demo"):
        shutil.copy2(path, folder / "scripts" / path.name)


def imported_scripts(scripts: Path, package: str) -> list[Path]:
    """Files of ``scripts`` that a package in it imports, and that those import, with the ``__init__.py``."""
    found = {scripts / "__init__.py"}
    waiting = sorted((scripts / package).glob("*.py"))
    while waiting:
        for name in _imports(waiting.pop()):
            path = scripts / f"{name}.py"
            if path.exists() and path not in found:
                found.add(path)
                waiting.append(path)
    return sorted(found)


def _imports(path: Path) -> set[str]:
    """Names of the modules of ``scripts`` that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names.update([node.module, *(f"{node.module}.{one.name}" for one in node.names)])
    return {name.split(".")[1] for name in names if name.startswith("scripts.")}


def locked(root: Path = ROOT) -> dict[str, str]:
    """Package to its line ``name==version``; where the demo has another version than the project, the demo's.

    Raises
    ------
    InputError
        If a lock file is missing.
    """
    lines: dict[str, str] = {}
    for path in LOCKS:
        try:
            text = (root / path).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise InputError(root / path, None, "no such file", "export from a checkout of the project") from None
        lines.update((normal(line.partition("==")[0]), line) for line in text.split())
    return lines


def normal(name: str) -> str:
    """A package's name as it is compared.

    >>> normal("Typing_extensions")
    'typing-extensions'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(modules: Iterable[str], lines: Mapping[str, str], root: Path = ROOT) -> list[str]:
    """Lines of a ``requirements.txt``: what these loaded modules are of and need, Gradio, and what Gradio needs."""
    owners = packages_distributions()
    waiting = [normal(owner) for module in modules for owner in owners.get(module, ())]
    demo = (root / LOCKS[1]).read_text(encoding="utf-8").split()
    waiting += [normal(line.partition("==")[0]) for line in demo]
    waiting += GRADIO_TAKES
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in lines and name not in found and name not in TEST_TOOLS:
            found.add(name)
            waiting += needs(name)
    return [lines[name] for name in sorted(found)]


def needs(name: str) -> list[str]:
    """Packages that an installed one needs here; of one that is not installed nothing is known."""
    try:
        wanted = [Requirement(line) for line in requires(name) or ()]
    except PackageNotFoundError:
        return []
    return [normal(one.name) for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
