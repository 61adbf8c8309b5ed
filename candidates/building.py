"""From settings to sources: the one place that knows every kind."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from candidates.embedding import Embedding
from candidates.external import External
from candidates.history import History
from candidates.item_cf import ItemCf
from candidates.item_knn import ItemKnn
from candidates.knowledge import KnowledgeSource
from candidates.neighbours import Neighbours
from candidates.popularity import Popularity
from candidates.recipes import usable_recipes
from candidates.session_knn import SessionKnn
from candidates.settings import (
    CandidatesSettings,
    CustomSettings,
    ExternalSettings,
    HistorySettings,
    ItemCfSettings,
    ItemKnnSettings,
    KnowledgeSourceSettings,
    NeighboursSettings,
    PopularitySettings,
    RetrieverSourceSettings,
    RulesSettings,
    SessionKnnSettings,
    SourceSettings,
    UserCfSettings,
    WalksSettings,
)
from candidates.source import Source
from candidates.user_cf import UserCf
from candidates.walks import Walks
from events.errors import InputError
from events.index import IdIndex
from events.knowledge.fitted import Knowledge
from events.lists import Lists
from events.plugins import load_object
from models.building import why_left_out as why_no_retriever
from models.searcher import Searcher
from models.settings import ModelsSettings


@dataclass(frozen=True, slots=True)
class Shared:
    """What sources are built from, besides their settings."""

    matrices: Mapping[str, Lists]
    items: IdIndex | None = None
    sessions: IdIndex | None = None
    first_session: int = 0
    threads: int = 1
    searchers: Mapping[str, Searcher] = field(default_factory=dict)
    knowledge: Knowledge | None = None


def build_source(name: str, settings: SourceSettings, shared: Shared) -> Source:
    """The source of these settings, not yet fitted.

    Raises
    ------
    InputError
        If a class of the user's own cannot be found.
    """
    match settings:
        case HistorySettings():
            return History(name, settings)
        case PopularitySettings():
            return Popularity(name, settings)
        case NeighboursSettings():
            return Neighbours(name, settings, shared.matrices[settings.matrix])
        case ItemKnnSettings():
            return ItemKnn(name, settings, shared.threads)
        case SessionKnnSettings():
            return SessionKnn(name, settings)
        case ItemCfSettings():
            return ItemCf(name, settings, shared.threads)
        case UserCfSettings():
            return UserCf(name, settings)
        case WalksSettings():
            return Walks(name, settings, shared.matrices[settings.matrix])
        case RetrieverSourceSettings():
            return Embedding(name, settings, shared.searchers[settings.retriever])
        case KnowledgeSourceSettings():
            if shared.knowledge is None:
                raise ValueError(f"{name}: nothing is known of the items")
            return KnowledgeSource(name, settings, shared.knowledge, shared.threads)
        case RulesSettings():
            from candidates.rules import Rules  # brings pandas, which nothing else here needs

            return Rules(name, settings, shared.matrices, shared.threads)
        case ExternalSettings():
            if shared.items is None or shared.sessions is None:
                raise ValueError(f"{name}: candidates from a file need the item and session indices")
            return External(name, settings, shared.items, shared.sessions, shared.first_session)
        case CustomSettings():
            return _custom(name, settings)


def why_left_out(
    name: str,
    settings: CandidatesSettings,
    has: frozenset[str],
    models: ModelsSettings | None = None,
    knowledge: Knowledge | None = None,
) -> str | None:
    """Why a shop with the columns ``has`` and this knowledge cannot serve a source; ``None`` if it can."""
    source = settings.sources[name]
    if isinstance(source, NeighboursSettings | WalksSettings):
        reason = usable_recipes(settings.recipes, has)[1].get(source.matrix)
        return None if reason is None else f"there is no matrix {source.matrix}, because {reason}"
    if isinstance(source, RetrieverSourceSettings):
        reason = "there are none" if models is None else why_no_retriever(source.retriever, models, has)
        return None if reason is None else f"there is no retriever {source.retriever}, because {reason}"
    if isinstance(source, KnowledgeSourceSettings):
        if knowledge is None or not (knowledge.codes or knowledge.spaces):
            return "the shop knows no category, brand or text of its items, and there are no vectors"
        if source.items == "cold" and not knowledge.cold.any():
            return "there are no cold items to propose (see knowledge.cold)"
        return None
    if isinstance(source, CustomSettings):
        missing = _custom(name, source).needs - has
        return f"the shop has no {' and no '.join(sorted(missing))}" if missing else None
    return None


def _custom(name: str, settings: CustomSettings) -> Source:
    source = load_object(settings.source)(name, settings.options)
    if not isinstance(source, Source):
        remedy = "give the class name, targets, needs, fit, recommend, save and load"
        raise InputError(f"candidates.sources.{name}", None, f"{settings.source} is not a candidate source", remedy)
    return source
