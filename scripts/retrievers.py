"""Stage ``retrievers``: fit the retrievers of a pass and index their items.

Each retriever is a part of its own, whole or absent: a killed stage goes on with the next one, and after a change of
settings only those that it concerns are fitted again. ``--model NAME`` makes one part, which the stage then takes;
torchrun trains it data-parallel: ``torchrun --nproc-per-node 2 -m scripts.retrievers --config … --model sasrec``.
"""

import os
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from candidates.settings import RetrieverSourceSettings, with_retrievers
from events.compiled import source_digest
from events.errors import InputError
from events.files import atomic_folder, read_json, write_json
from models.building import Conditions, build_retriever, reads_knowledge, why_left_out
from models.searcher import Searcher
from scripts.apart import call_apart
from scripts.artifacts import open_pass, say_left_out
from scripts.cli import stage_main
from scripts.knowledge import open_knowledge, tables
from scripts.pipeline import FITTED, Run, Stage, digest_of, fingerprint, work_folder
from scripts.resources import Meter
from scripts.settings import Settings

NAME = "retrievers"
FLOORS = ("events", "models")
MADE = "made.json"
"""In the folder of a part: its key, what it cost, what its epochs came to, and the recall of its index."""


def _depths(settings: Settings) -> dict[str, int]:
    """Items that are wanted of each retriever: of its deepest source."""
    depths = dict.fromkeys(settings.models.retrievers, 1)
    for one in with_retrievers(settings.candidates, settings.models).sources.values():
        if isinstance(one, RetrieverSourceSettings):
            depths[one.retriever] = max(depths[one.retriever], one.k)
    return depths


def _settings(settings: Settings) -> Any:
    knowledge = settings.knowledge.model_dump(mode="json")
    return {"models": settings.models.model_dump(mode="json"), "depths": _depths(settings), "knowledge": knowledge}


def _inputs(run: Run, pass_name: str) -> list[Path]:
    return [run.prepared / pass_name, *tables(run, pass_name)]


def _key(run: Run, pass_name: str, name: str) -> str:
    """Digest of all that a part depends on."""
    models = run.settings.models
    inputs, knowledge = [run.prepared / pass_name], None
    if reads_knowledge(models.retrievers[name]):
        inputs, knowledge = _inputs(run, pass_name), run.settings.knowledge.model_dump(mode="json")
    return digest_of(
        {
            "settings": models.retrievers[name].model_dump(mode="json", exclude={"on", "k"}),
            "knowledge": knowledge,
            "k": _depths(run.settings)[name],
            "index": models.index.model_dump(mode="json"),
            "seed": models.seed,
            "inputs": fingerprint(inputs),
            "code": source_digest(FLOORS),
        }
    )


def _is_made(part: Path, key: str) -> bool:
    return (part / MADE).exists() and read_json(part / MADE)["key"] == key


def _made(run: Run, pass_name: str, name: str, key: str) -> Path | None:
    """The folder of a retriever that was made before; ``None`` if it must be made."""
    stage = run.stage_folder(pass_name, NAME)
    for part in (work_folder(stage) / name, stage / name):
        if _is_made(part, key):
            print(f"  {name}: up to date", flush=True)
            return part
    return None


def _make(run: Run, pass_name: str, name: str, key: str) -> Path:
    """The folder of a retriever that is fitted and indexed now."""
    data, models = open_pass(run, pass_name), run.settings.models
    work = work_folder(run.stage_folder(pass_name, NAME))
    checkpoints = work / f"{name}.{key}"
    known = open_knowledge(run, pass_name) if reads_knowledge(models.retrievers[name]) else None
    conditions = Conditions(models.seed, run.settings.n_threads, checkpoints, progress=True, knowledge=known)
    if int(os.environ.get("RANK", "0")) > 0:  # of torchrun: the first process writes, the others help it train
        build_retriever(name, models.retrievers[name], conditions).fit(data.fit)
        return work / name
    with atomic_folder(work / name) as beside:
        with Meter() as meter:
            retriever = build_retriever(name, models.retrievers[name], conditions).fit(data.fit)
        started = time.perf_counter()
        depth, threads = _depths(run.settings)[name], run.settings.n_threads
        searcher = Searcher.build(retriever, data.fit, depth, models.index, models.seed, threads)
        searcher.save(beside)
        made = {
            "key": key,
            "items": int(retriever.known.sum()),
            "fit_wall_s": round(meter.wall_s, 3),
            "fit_cpu_s": round(meter.cpu_s, 3),
            "index_s": round(time.perf_counter() - started, 3),
            "exact": searcher.is_exact,
            "recall": searcher.recall,
            "epochs": [asdict(epoch) for epoch in getattr(retriever, "history", ())],
        }
        write_json(beside / MADE, made)
    shutil.rmtree(checkpoints, ignore_errors=True)
    how = "all scanned" if searcher.is_exact else f"indexed in {made['index_s']:.1f} s, recall {searcher.recall:.3f}"
    fitted = f"fitted in {meter.wall_s:.1f} s wall, {meter.cpu_s:.1f} s CPU"
    print(f"  {name}: {fitted}; {made['items']:,} items, {how}", flush=True)
    return work / name


def _make_all(run: Run, pass_name: str, names: list[str]) -> list[Path]:
    """The folders of these retrievers, as they were made before or made now, several at once where the settings say."""
    calls = [(run, pass_name, name, _key(run, pass_name, name)) for name in names]
    made = [_made(*call) for call in calls]
    missing = [call for call, part in zip(calls, made, strict=True) if part is None]
    at_once = min(run.settings.fits_at_once, len(missing))
    parts = iter(call_apart(_make, missing, at_once) if at_once > 1 else [_make(*one) for one in missing])
    return [part or next(parts) for part in made]


def _link(source: str, to: str) -> None:
    try:
        os.link(source, to)
    except OSError:
        shutil.copyfile(source, to)


def _work(run: Run, pass_name: str, folder: Path) -> dict[str, Any]:
    data, models = open_pass(run, pass_name), run.settings.models
    reasons = {name: why_left_out(name, models, data.fit.has) for name, one in models.retrievers.items() if one.on}
    left_out = {name: reason for name, reason in reasons.items() if reason is not None}
    say_left_out("retriever", left_out)
    if not reasons:
        print("  no retriever is on", flush=True)
    figures, names = {}, [name for name in reasons if name not in left_out]
    for name, part in zip(names, _make_all(run, pass_name, names), strict=True):
        shutil.copytree(part, folder / name, copy_function=_link)
        figures[name] = {key: value for key, value in read_json(folder / name / MADE).items() if key != "key"}
    return {"rows": data.fit.n_events, "left_out": left_out, "retrievers": figures}


def make_one(run: Run, pass_name: str, name: str) -> Path:
    """Make the part of one retriever; return its folder.

    Raises
    ------
    InputError
        If the settings do not name it, or the run goes without it.
    """
    models = run.settings.models
    if name not in models.retrievers:
        known = ", ".join(models.retrievers) or "none"
        raise InputError(f"--model {name}", None, "no such retriever", f"the settings name {known}")
    data = open_pass(run, pass_name)
    reason = why_left_out(name, models, data.fit.has)
    if reason is not None:
        remedy = f"--set models.retrievers.{name}.on=true" if not models.retrievers[name].on else "leave it out"
        raise InputError(f"--model {name}", None, reason, remedy)
    print(f"{NAME} ({pass_name}), {name} alone …", flush=True)
    call = run, pass_name, name, _key(run, pass_name, name)
    return _made(*call) or _make(*call)


STAGE = Stage(NAME, FITTED, _settings, _inputs, _work, floors=FLOORS)


def main(argv: list[str] | None = None) -> int:
    """Command line of the stage."""
    return stage_main(STAGE, "Fit the retrievers and index their items.", argv, one_model=make_one)


if __name__ == "__main__":
    sys.exit(main())
