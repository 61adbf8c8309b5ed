"""The settings of a run: one frozen root, made of a TOML file and of ``--set key=value``."""

import os
import re
import tomllib
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from candidates.settings import CandidatesSettings, with_retrievers
from events.errors import InputError
from events.knowledge.settings import KnowledgeSettings
from events.settings import DataSettings, EventsSettings, SampleSettings, SplitSettings
from events.shop.settings import ShopSettings
from features.settings import FeaturesSettings
from models.settings import ModelsSettings
from rankers.rerank import RerankSettings
from rankers.settings import RankersSettings
from scripts.rungs import DEFAULT, EvaluationSettings, check_ladder
from submissions.settings import SubmissionSettings

REMEDY = "correct the key; docs/settings.md lists the settings"


class Settings(BaseModel):
    """Everything that decides a run. Each floor keeps its own part; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(42, ge=0, lt=2**63, description="seed of the cuts; the shop and the rankers have their own")
    threads: int = Field(0, ge=0, le=1024, description="threads of kernels and LightGBM; 0: all cores")
    fits_at_once: int = Field(
        1, ge=1, le=64, description="retrievers fitted at the same time, each in a process and memory of its own"
    )
    runs: Path = Field(Path("runs"), description="folder that holds one folder a run")
    data: DataSettings = DataSettings()
    shop: ShopSettings = ShopSettings()
    events: EventsSettings = EventsSettings()
    split: SplitSettings = SplitSettings()
    sample: SampleSettings = SampleSettings()
    knowledge: KnowledgeSettings = KnowledgeSettings()
    models: ModelsSettings = ModelsSettings()
    candidates: CandidatesSettings = CandidatesSettings()
    features: FeaturesSettings = FeaturesSettings()
    rankers: RankersSettings = RankersSettings()
    submissions: SubmissionSettings = SubmissionSettings()
    ladder: tuple[str, ...] = Field(DEFAULT, description="rungs that the run is compared with, by name; scripts.rungs")
    evaluation: EvaluationSettings = EvaluationSettings()
    rerank: RerankSettings = RerankSettings()

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        with_retrievers(self.candidates, self.models)
        check_ladder(self.ladder, self.candidates, self.models)
        if max(self.evaluation.k, default=0) > self.submissions.k:
            raise ValueError("evaluation.k must not be above submissions.k, the length of the lists")
        return self

    @property
    def n_threads(self) -> int:
        """Number of threads, with 0 resolved to the cores that this process may use."""
        return self.threads or len(os.sched_getaffinity(0))


def _line_of(text: str, location: tuple[str | int, ...]) -> int | None:
    """Line (from 1) where a key stands in a TOML text, as well as a look at headings and keys can tell."""
    keys = [str(key) for key in location]
    best, section = None, []
    for number, line in enumerate(text.splitlines(), 1):
        heading = re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line)
        if heading:
            section = [part.strip().strip("\"'") for part in heading.group(1).split(".")]
            path = section
        else:
            key = re.match(r"\s*([\w.\-\"']+)\s*=", line)
            if not key:
                continue
            path = section + [part.strip("\"'") for part in key.group(1).split(".")]
        if path == keys[: len(path)]:
            best = number
            if path == keys:
                break
    return best


def _assign(tree: dict[str, Any], assignment: str) -> None:
    """Put one ``key.sub=value`` of the command line into the tree.

    Raises
    ------
    InputError
        If it has no ``=`` or if a key goes below a value.
    """
    key, sign, text = assignment.partition("=")
    if not sign or not key.strip():
        raise InputError(f"--set {assignment}", None, "not of the form key=value", "write --set section.key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text  # a bare word stands for a string, so that --set events.on_bad_rows=skip works unquoted
    *parents, last = key.strip().split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if not isinstance(tree, dict):
            raise InputError(f"--set {assignment}", None, f"{parent} is not a section", REMEDY)
    tree[last] = value


def _explain(error: ValidationError, path: Path, text: str, assignments: list[str]) -> InputError:
    first = error.errors(include_url=False)[0]
    location = first["loc"]
    name = ".".join(str(part) for part in location)
    unknown = first["type"] == "extra_forbidden"
    message, given = first["msg"].removeprefix("Value error, "), first.get("input")
    problem = f"unknown key {name}" if unknown else f"{name}: {message} (got {given!r:.80})"
    if not unknown and isinstance(given, dict):  # a section whose keys do not go together: the message names them
        problem = f"{name}: {message}" if location else message
    for assignment in assignments:
        key = assignment.partition("=")[0].strip()
        if name == key or name.startswith(key + "."):
            return InputError(f"--set {assignment}", None, problem, REMEDY)
    return InputError(path, _line_of(text, location), problem, "remove it" if unknown else REMEDY)


def load_settings(path: Path, assignments: list[str] | None = None) -> Settings:
    """Settings from a TOML file, then each ``key=value``; values are TOML, bare words are strings.

    Raises
    ------
    InputError
        For a missing file, bad TOML, an unknown key or a wrong type; it names the line where it can.
    """
    assignments = assignments or []
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(path, None, "no such file", "give an existing TOML file with --config") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, None, f"cannot be read: {error}", "give a TOML file with --config") from None
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        line = int(found.group(1)) if found else len(text.splitlines())
        raise InputError(path, line, f"not TOML: {error}", "correct the line") from None
    for assignment in assignments:
        _assign(tree, assignment)
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise _explain(error, path, text, assignments) from None
