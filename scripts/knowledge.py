"""What a shop knows of its items and sessions, fitted for a pass: made by the first stage that asks for it.

It is kept like a stage's results, in ``runs/<name>/<pass>/knowledge/``, and is made anew when the shop's tables, the
user's vectors, the settings or the code change. A shop that knows nothing has none of it.
"""

import os
import shutil
from pathlib import Path
from typing import Any

import polars as pl

from candidates.opening import KNOWLEDGE as NAME
from events.index import IdIndex
from events.knowledge.fitted import Knowledge, fit_knowledge
from events.knowledge.reading import read_items, read_users
from events.knowledge.vectors import read_vectors
from events.passes import PassData
from scripts.pipeline import FITTED, Run, Stage, run_stage
from scripts.settings import Settings


def tables(run: Run, pass_name: str) -> list[Path]:
    """Every file that knowledge is made of, there or not: the input of the stages that use it."""
    paths = [run.prepared / "items.parquet", users_path(run, pass_name)]
    for one in run.settings.knowledge.vectors:
        paths += [one.path] if one.ids is None else [one.path, one.ids]
    return paths


def users_path(run: Run, pass_name: str) -> Path:
    """The table of the pass's sessions, a row a session of its log."""
    return run.prepared / pass_name / "users.parquet"


def is_there(run: Run, pass_name: str) -> bool:
    """Whether the shop knows anything that the settings name."""
    settings = run.settings.knowledge
    columns = pl.read_parquet_schema(run.need("", "prepare") / "items.parquet")
    named = any(column in columns for column in settings.columns)
    return named or bool(settings.vectors) or (users_path(run, pass_name).exists() and settings.users != ())


def open_knowledge(run: Run, pass_name: str) -> Knowledge | None:
    """What is known for a pass, memory-mapped; ``None`` if nothing is.

    Raises
    ------
    InputError
        If a table or a file of vectors is not as it should be.
    """
    if not is_there(run, pass_name):
        shutil.rmtree(run.stage_folder(pass_name, NAME), ignore_errors=True)  # of other settings
        return None
    if int(os.environ.get("RANK", "0")) > 0:  # of torchrun: the first process writes
        return _fit(run, pass_name, say=False)
    run_stage(STAGE, run, pass_name, _say)
    return Knowledge.load(run.stage_folder(pass_name, NAME))


def _say(line: str) -> None:
    if not line.endswith("up to date"):
        print(line, flush=True)


def _settings(settings: Settings) -> Any:
    return settings.knowledge.model_dump(mode="json")


def _inputs(run: Run, pass_name: str) -> list[Path]:
    return [run.prepared / pass_name, *tables(run, pass_name)]


def _fit(run: Run, pass_name: str, say: bool) -> Knowledge:
    settings = run.settings.knowledge
    data, index = PassData.load(run.prepared / pass_name), IdIndex.load(run.prepared / "items.parquet")
    columns = read_items(run.prepared / "items.parquet", settings)
    path = users_path(run, pass_name)
    users = read_users(path, settings, len(data.log)) if path.exists() and settings.users != () else None
    vectors = {one.name: read_vectors(one, index) for one in settings.vectors}
    until = None
    if data.fit_until_ms is not None:
        until = data.fit_until_ms // 1000
    if data.fit.ts is not None:  # where the visible events of target sessions join the fit
        until = max(until or 0, int(data.fit.ts.max(initial=0)))
    knowledge = fit_knowledge(columns, users, vectors, data.fit, until, settings)
    if say:
        _tell(knowledge)
    return knowledge


def _tell(knowledge: Knowledge) -> None:
    for name, codes in knowledge.codes.items():
        print(f"  {name}: {int(codes.max()) + 1:,} of {int((codes >= 0).sum()):,} items")
    for name, space in knowledge.spaces.items():
        print(f"  vectors {name}: {space.shape[1]} dimensions of {int(space.any(axis=1).sum()):,} items")
    if knowledge.users is not None:
        print(f"  sessions: {', '.join(knowledge.users.names)}")
    if knowledge.late:
        print(f"  {knowledge.late:,} items are published after the end of the fit: not proposed as cold, of age 0")
    if knowledge.cold.any():
        print(f"  {int(knowledge.cold.sum()):,} items without an event may be proposed")
    if knowledge.lacks:
        print(f"  without knowledge of {', '.join(knowledge.lacks)}: the shop's tables have none")


def _work(run: Run, pass_name: str, folder: Path) -> dict[str, Any]:
    knowledge = _fit(run, pass_name, say=True)
    knowledge.save(folder)
    return {"rows": knowledge.n_items, "cold": int(knowledge.cold.sum()), "lacks": list(knowledge.lacks)}


STAGE = Stage(NAME, FITTED, _settings, _inputs, _work, floors=("events",), helpers=())
