"""Opening what earlier stages wrote: passes, indices, matrices, sources, features."""

from collections.abc import Mapping

from candidates.source_set import SourceSet
from events.index import IdIndex
from events.lists import Lists
from events.passes import PassData
from features.assemble import FeatureBuilder
from features.items import ItemTable
from features.knowledge import KnowledgeTable
from models.building import Conditions, build_retriever, why_left_out
from models.searcher import Searcher
from rankers.models import Rankers
from rankers.scoring import Scorer
from scripts.knowledge import open_knowledge
from scripts.pipeline import Run


def say_left_out(what: str, left_out: Mapping[str, str]) -> None:
    """Print what a shop has to do without, and why; names with the same reason share a line."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        print(f"  without {what} {', '.join(names)}: {reason}")


def open_pass(run: Run, pass_name: str) -> PassData:
    """What ``prepare`` stored for a pass."""
    return PassData.load(run.need("", "prepare") / pass_name)


def open_items(run: Run) -> IdIndex:
    """The item index of a run."""
    return IdIndex.load(run.need("", "prepare") / "items.parquet")


def open_matrices(run: Run, pass_name: str) -> dict[str, Lists]:
    """The co-visitation matrices of a pass, memory-mapped, in the order of the settings."""
    folder = run.need(pass_name, "covisit")
    names = [name for name in run.settings.candidates.recipes if (folder / name).is_dir()]
    return {name: Lists.load(folder / name) for name in names}


def open_searchers(run: Run, data: PassData) -> dict[str, Searcher]:
    """The fitted retrievers of a pass with their indices, memory-mapped, in the order of the settings."""
    folder, models = run.need(data.name, "retrievers"), run.settings.models
    conditions = Conditions(models.seed, run.settings.n_threads, knowledge=open_knowledge(run, data.name))
    return {
        name: Searcher.load(folder / name, build_retriever(name, one, conditions), models.index)
        for name, one in models.retrievers.items()
        if why_left_out(name, models, data.fit.has) is None
    }


def new_sources(run: Run, data: PassData) -> SourceSet:
    """The sources that this shop can serve, not yet fitted."""
    # Files with candidates from elsewhere name the target sessions by the source's ids.
    sessions = None if data.several_rows else IdIndex(data.target_ids)
    settings = run.settings
    return SourceSet.of(
        settings.candidates,
        data.fit.has,
        settings.n_threads,
        open_items(run),
        sessions,
        data.n_train,
        settings.models,
        open_knowledge(run, data.name),
    )


def open_sources(run: Run, data: PassData) -> SourceSet:
    """The fitted sources of a pass."""
    folder = run.need(data.name, "candidates")
    return new_sources(run, data).load(folder, open_matrices(run, data.name), open_searchers(run, data))


def open_builder(
    run: Run,
    data: PassData,
    sources: SourceSet,
    items: ItemTable | None = None,
    known: KnowledgeTable | None = None,
) -> FeatureBuilder:
    """The feature builder of a pass, with its fitted tables (or those given)."""
    table = ItemTable.load(run.need(data.name, "features") / "items") if items is None else items
    columns = tuple(sources.columns)
    matrices = open_matrices(run, data.name)
    settings, knowledge = run.settings, sources.knowledge
    if knowledge is not None and known is None:
        known = KnowledgeTable.load(run.need(data.name, "features") / "knowledge")
    return FeatureBuilder(
        settings.features,
        data.fit.has,
        columns,
        table,
        matrices,
        settings.n_threads,
        sources.searchers,
        None if knowledge is None or known is None else (knowledge, known),
    )


def open_scorer(run: Run, data: PassData, rankers: Rankers) -> Scorer:
    """What turns sessions of a pass into ranked lists: its sources, its features, and these rankers."""
    sources = open_sources(run, data)
    settings = run.settings
    builder = open_builder(run, data, sources)
    return Scorer(sources, builder, rankers, top=settings.submissions.k, num_threads=settings.n_threads)
