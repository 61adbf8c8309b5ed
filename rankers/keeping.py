"""Finished fits on disk, so that a killed run goes on where it was."""

import hashlib
from pathlib import Path

from events.errors import InputError
from events.files import atomic_file, read_json, write_json
from rankers.models import Fit


def keep(work: Path, fit: Fit, digest: str) -> None:
    """Write a fit into a folder: the model first, then the mark that it is done.

    digest : of everything that the fit depends on
    """
    with atomic_file(work / f"{fit.name}.txt") as beside:
        beside.write_text(fit.text, encoding="utf-8")
    write_json(work / f"{fit.name}.done.json", {"digest": digest, "text": _digest(fit.text), "fit": fit.facts()})


def kept(work: Path, name: str, digest: str) -> Fit | None:
    """The finished fit of this name, if it is whole and of the same digest."""
    path, mark = work / f"{name}.txt", work / f"{name}.done.json"
    if not (path.exists() and mark.exists()):
        return None
    try:
        done = read_json(mark)
        text = path.read_text(encoding="utf-8")
        return Fit.of(done["fit"], text) if done["digest"] == digest and done["text"] == _digest(text) else None
    except (InputError, KeyError, TypeError, ValueError):
        return None


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
