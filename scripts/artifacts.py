"""Opening what earlier stages wrote: passes, indices, matrices, sources, features."""

from collections.abc import Mapping

from candidates.opening import Artifacts
from candidates.source_set import SourceSet
from events.index import IdIndex
from events.lists import Lists
from events.passes import PassData
from features.assemble import FeatureBuilder
from features.items import ItemTable
from features.knowledge import KnowledgeTable
from rankers import opening
from rankers.models import Rankers
from rankers.scoring import Scorer
from scripts.knowledge import open_knowledge
from scripts.pipeline import Run

SHOWN = 5
"""Names that are left out for one reason and shown."""


def say_left_out(what: str, left_out: Mapping[str, str]) -> None:
    """Print what a shop has to do without, and why; names with the same reason share a line."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN + 1 else ""
        shown = names[:SHOWN] if more else names
        print(f"  without {what} {', '.join(shown)}{more}: {reason}")


def artifacts_of(run: Run) -> Artifacts:
    """The artifacts of a run, opened with its settings."""
    settings = run.settings
    return Artifacts(run.folder, settings.models, settings.candidates, settings.n_threads)


def open_pass(run: Run, pass_name: str) -> PassData:
    """What ``prepare`` stored for a pass."""
    return artifacts_of(run).data(pass_name)


def open_items(run: Run) -> IdIndex:
    """The item index of a run."""
    return artifacts_of(run).items()


def open_matrices(run: Run, pass_name: str) -> dict[str, Lists]:
    """The co-visitation matrices of a pass, memory-mapped, in the order of the settings."""
    return artifacts_of(run).matrices(pass_name)


def new_sources(run: Run, data: PassData) -> SourceSet:
    """The sources that this shop can serve, not yet fitted."""
    open_knowledge(run, data.name)
    return artifacts_of(run).new_sources(data)


def open_sources(run: Run, data: PassData) -> SourceSet:
    """The fitted sources of a pass."""
    open_knowledge(run, data.name)
    return artifacts_of(run).sources(data)


def open_builder(
    run: Run,
    data: PassData,
    sources: SourceSet,
    items: ItemTable | None = None,
    known: KnowledgeTable | None = None,
) -> FeatureBuilder:
    """The feature builder of a pass, with its fitted tables (or those given)."""
    return opening.open_builder(artifacts_of(run), run.settings.features, data, sources, items, known)


def open_scorer(run: Run, data: PassData, rankers: Rankers, sources: SourceSet | None = None) -> Scorer:
    """What turns sessions of a pass into ranked lists: its sources (opened, unless given), its features, these rankers.

    The lists are as long as the step behind the rankers wants them, if there is one (``scripts.reranking``).
    """
    settings = run.settings
    top = settings.rerank.list_length(settings.submissions.k)
    return opening.open_scorer(artifacts_of(run), settings.features, data, rankers, top, sources)
