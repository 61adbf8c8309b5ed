"""Opening what scores sessions: the features and rankers of a run, and all of it by the run's folder alone."""

from pathlib import Path

from pydantic import ValidationError

from candidates.opening import KNOWLEDGE, Artifacts
from candidates.settings import CandidatesSettings
from candidates.source_set import SourceSet
from events.arrays import F32
from events.errors import InputError
from events.files import need_array, save_arrays
from events.passes import SUBMISSION, VALIDATION, PassData
from events.stages import MANIFEST, need_stage, read_manifest
from features.assemble import FeatureBuilder
from features.items import ItemTable
from features.knowledge import KnowledgeTable
from features.settings import FeaturesSettings
from models.settings import ModelsSettings
from rankers.models import Rankers
from rankers.rerank import RerankSettings
from rankers.scoring import Scorer

TABLES = "tables"
"""Folder, in that of the stage ``features``, of the builder's tables."""


def open_builder(
    artifacts: Artifacts,
    settings: FeaturesSettings,
    data: PassData,
    sources: SourceSet,
    items: ItemTable | None = None,
    known: KnowledgeTable | None = None,
) -> FeatureBuilder:
    """The feature builder of a pass, with its fitted tables (or those given).

    Raises
    ------
    InputError
        If a stage has not run.
    """
    tables: dict[str, F32] = {}
    if items is None:
        folder = artifacts.need(data.name, "features")
        items = ItemTable.load(folder / "items")
        tables = {path.stem: need_array(folder / TABLES, path.stem) for path in sorted((folder / TABLES).glob("*.npy"))}
    knowledge = sources.knowledge
    if knowledge is not None and known is None:
        known = KnowledgeTable.load(artifacts.need(data.name, "features") / KNOWLEDGE)
    return FeatureBuilder(
        settings,
        data.fit.has,
        tuple(sources.columns),
        items,
        artifacts.matrices(data.name),
        artifacts.threads,
        sources.searchers,
        tables,
        None if knowledge is None or known is None else (knowledge, known),
    )


def save_tables(builder: FeatureBuilder, folder: Path) -> None:
    """Write what a builder has made of all items, with which :func:`open_builder` is quicker, into a stage's folder."""
    (folder / TABLES).mkdir()
    save_arrays(folder / TABLES, **builder.tables)


def open_scorer(
    artifacts: Artifacts,
    settings: FeaturesSettings,
    data: PassData,
    rankers: Rankers,
    top: int = 20,
    sources: SourceSet | None = None,
) -> Scorer:
    """What turns sessions of a pass into ranked lists: its sources (opened, unless given), its features, these rankers.

    Raises
    ------
    InputError
        If a stage has not run, or the rankers were trained on other features.
    """
    sources = artifacts.sources(data) if sources is None else sources
    builder = open_builder(artifacts, settings, data, sources)
    return Scorer(sources, builder, rankers, top=top, num_threads=artifacts.threads)


def rerank_settings(run: Path, pass_name: str) -> RerankSettings:
    """How the lists of a pass are reranked, by the last stage that did so: ``submit``, else ``evaluate``; off without.

    Raises
    ------
    InputError
        If its settings are of another version of this program.
    """
    stages = [run / SUBMISSION / "submit"] if pass_name == SUBMISSION else []
    folder = next((one for one in stages if (one / MANIFEST).exists()), run / VALIDATION / "evaluate")
    settings = (read_manifest(folder) or {}).get("settings", {})
    try:
        return RerankSettings.model_validate(settings.get("rerank", {}))
    except ValidationError as error:
        problem = f"settings that this version does not know ({type(error).__name__})"
        raise InputError(folder / MANIFEST, None, problem, "run the stages again") from None


def open_rankers(run: Path) -> Rankers:
    """The rankers of a run, which are trained in the validation pass.

    Raises
    ------
    InputError
        If the stage ``rank`` has not run.
    """
    return Rankers.load(need_stage(run, VALIDATION, "rank") / "models")


def latest_pass(run: Path) -> str:
    """The pass whose features are there: ``submission`` (it has seen everything), or else ``validation``.

    Raises
    ------
    InputError
        If there is no such run, or the stage ``features`` has not run.
    """
    if not run.is_dir():
        raise InputError(run, None, "no such run", "give the folder of a run, such as runs/shop")
    if (run / SUBMISSION / "features" / MANIFEST).exists():
        return SUBMISSION
    need_stage(run, VALIDATION, "features")
    return VALIDATION


def open_artifacts(run: Path, pass_name: str, threads: int = 1) -> tuple[Artifacts, FeaturesSettings]:
    """The artifacts of a run by its folder: the settings are those that its stage ``features`` ran with.

    Whether code or inputs have changed since is not asked.

    Raises
    ------
    InputError
        If the stage has not run, or its settings are of another version of this program.
    """
    folder = need_stage(run, pass_name, "features")
    settings = (read_manifest(folder) or {}).get("settings", {})
    try:
        # The names in a manifest are all there were: defaults that came later are not added.
        models = ModelsSettings.model_validate({**settings["models"], "defaults": False})
        candidates = CandidatesSettings.model_validate({**settings["candidates"], "defaults": False})
        features = FeaturesSettings.model_validate(settings["features"])
    except (KeyError, TypeError, ValidationError) as error:
        problem = f"settings that this version does not know ({type(error).__name__})"
        raise InputError(folder / MANIFEST, None, problem, "run the stages again") from None
    return Artifacts(run, models, candidates, threads), features
