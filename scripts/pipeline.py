"""Stages and their manifests: what is up to date is skipped, what is written is whole.

A stage writes one folder, ``runs/<name>/<pass>/<stage>/`` (``runs/<name>/prepared/`` for the stage that serves all
passes). It is written beside its name and renamed when whole, its manifest inside. A stage is up to date if settings,
inputs and code are those of its manifest and its files are still as it left them.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from events.compiled import ROOT, source_digest
from events.files import atomic_file, atomic_folder
from events.passes import EARLIER, SUBMISSION, VALIDATION
from events.stages import MANIFEST as MANIFEST
from events.stages import need_stage as need_stage
from events.stages import read_manifest as read_manifest
from scripts.resources import Meter
from scripts.settings import Settings

SAMPLE = 1 << 16
"""Bytes read at the start, in the middle and at the end of a file for its fingerprint."""

PASSES = (VALIDATION, SUBMISSION)
FITTED = (*EARLIER, *PASSES)
"""Passes that something is fitted for; those of ``EARLIER`` end with the training matrix."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run: its settings and its folder ``runs/<config stem>``."""

    settings: Settings
    folder: Path

    @property
    def prepared(self) -> Path:
        """Folder of the stage ``prepare``."""
        return self.folder / "prepared"

    def stage_folder(self, pass_name: str, stage: str) -> Path:
        """Folder of a stage in a pass."""
        return self.folder / pass_name / stage

    def has_pass(self, pass_name: str) -> bool:
        """Whether ``prepare`` made this pass (a shop without test sessions has no submission)."""
        return (self.prepared / pass_name).is_dir()

    def need(self, pass_name: str, stage: str) -> Path:
        """Folder of a stage that must have run.

        Raises
        ------
        InputError
            If it has not.
        """
        return need_stage(self.folder, pass_name, stage)


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the pipeline.

    name     : as in ``python -m scripts.<name>``
    passes   : the passes it runs in; empty if it runs once for all
    settings : the part of the settings it depends on (JSON-like)
    inputs   : files and folders it reads, for a pass
    work     : computes; gets the run, the pass name and the folder to write to; returns figures for the manifest
    floors   : packages whose sources decide its results
    helpers  : modules of this package that do so, besides its own
    publish  : files of its folder that are copied to ``runs/<name>/<pass>/``, where people look for them
    """

    name: str
    passes: tuple[str, ...]
    settings: Callable[[Settings], Any]
    inputs: Callable[[Run, str], list[Path]]
    work: Callable[[Run, str, Path], dict[str, Any]]
    floors: tuple[str, ...]
    helpers: tuple[str, ...] = ("artifacts", "knowledge")
    publish: tuple[str, ...] = ()


def work_folder(folder: Path) -> Path:
    """Where a long stage keeps finished parts, so that a killed one goes on from there; removed when it is whole."""
    return folder.with_name(folder.name + ".work")


def digest_of(value: Any) -> str:
    """Digest (16 hex digits) of a JSON-like value."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.rglob("*") if p.is_file() and p.name != MANIFEST)
        elif path.exists():
            found.append(path)
    return found


def fingerprint(paths: Iterable[Path]) -> dict[str, list[Any]]:
    """Size, modification time and a digest of samples of every file in these files and folders."""
    prints: dict[str, list[Any]] = {}
    for path in _files(paths):
        stat = path.stat()
        digest = hashlib.blake2b(digest_size=8)
        with path.open("rb") as file:
            for place in (0, stat.st_size // 2, max(0, stat.st_size - SAMPLE)):
                file.seek(place)
                digest.update(file.read(SAMPLE))
        prints[str(path)] = [stat.st_size, stat.st_mtime_ns, digest.hexdigest()]
    return prints


def _own(folder: Path) -> dict[str, list[int]]:
    """Size and modification time of each file of a stage's folder, by its name in the folder."""
    return {
        path.relative_to(folder).as_posix(): [path.stat().st_size, path.stat().st_mtime_ns] for path in _files([folder])
    }


def _state(stage: Stage, run: Run, pass_name: str) -> dict[str, Any]:
    scripts = b"".join((ROOT / "scripts" / f"{name}.py").read_bytes() for name in (stage.name, *stage.helpers))
    return {
        "settings": stage.settings(run.settings),
        "inputs": fingerprint(stage.inputs(run, pass_name)),
        "code": source_digest(stage.floors) + hashlib.blake2b(scripts, digest_size=8).hexdigest(),
    }


def _is_current(folder: Path, state: dict[str, Any]) -> bool:
    manifest = read_manifest(folder)
    return (
        manifest is not None
        and digest_of({key: manifest.get(key) for key in state}) == digest_of(state)
        and manifest.get("outputs") == _own(folder)
    )


def _publish(stage: Stage, run: Run, pass_name: str, folder: Path) -> None:
    for name in stage.publish:
        source, shown = folder / name, run.folder / pass_name / name
        if not source.exists():
            shown.unlink(missing_ok=True)
        elif not shown.exists() or not os.path.samefile(source, shown):
            with atomic_file(shown) as beside:
                beside.unlink(missing_ok=True)
                try:
                    os.link(source, beside)
                except OSError:
                    shutil.copyfile(source, beside)


def _say(line: str) -> None:
    print(line, flush=True)


def run_stage(stage: Stage, run: Run, pass_name: str, say: Callable[[str], None] = _say) -> dict[str, Any]:
    """Run a stage in a pass unless it is up to date; return its manifest."""
    folder = run.prepared if not stage.passes else run.stage_folder(pass_name, stage.name)
    title = f"{stage.name} ({pass_name})" if stage.passes else stage.name
    state = _state(stage, run, pass_name)
    if _is_current(folder, state):
        say(f"{title}: up to date")
    else:
        say(f"{title} …")
        with atomic_folder(folder) as beside:
            with Meter() as meter:
                figures = stage.work(run, pass_name, beside)
            manifest = {
                "stage": stage.name,
                "pass": pass_name if stage.passes else None,
                **json.loads(json.dumps(state, default=str)),
                "outputs": _own(beside),
                "wall_s": round(meter.wall_s, 3),
                "cpu_s": round(meter.cpu_s, 3),
                "peak_gib": round(meter.peak_gib, 3),
                **figures,
            }
            (beside / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        shutil.rmtree(work_folder(folder), ignore_errors=True)
        say(f"{title}: {meter.wall_s:.1f} s wall, {meter.cpu_s:.1f} s CPU, {meter.peak_gib:.2f} GiB")
    _publish(stage, run, pass_name, folder)
    found = read_manifest(folder)
    assert found is not None
    return found
