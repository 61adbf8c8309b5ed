"""Folders of finished stages: where they are in a run, and the manifest that says that one is whole."""

import json
from pathlib import Path
from typing import Any

from events.errors import InputError

MANIFEST = "manifest.json"


def need_stage(run: Path, pass_name: str, stage: str) -> Path:
    """Folder of a stage that must have run, in the folder of a run.

    Raises
    ------
    InputError
        If it has not.
    """
    folder = run / "prepared" if stage == "prepare" else run / pass_name / stage
    if not (folder / MANIFEST).exists():
        raise InputError(folder, None, f"stage {stage} has not run", f"run it first: python -m scripts.{stage}")
    return folder


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a stage's folder; ``None`` if there is none that can be read."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest
