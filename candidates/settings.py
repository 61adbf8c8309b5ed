"""Settings of the candidates floor: the co-visitation recipes and the sources that fill the pool."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from candidates.recipes import Recipe, TypeWeights
from events.columns import DAY, TARGETS
from events.settings import Frozen, merge_named, without_changes
from models.index_settings import IndexSettings
from models.settings import ModelsSettings

Depth = Annotated[int, Field(ge=1, le=10_000)]
"""Items of a source that enter the pool."""

Weight = Annotated[float, Field(ge=0)]

Name = Annotated[str, Field(pattern=r"^\w+$")]
"""Name of a recipe or a source: letters, digits and underscores, as it names folders and columns."""

IndexItems = Annotated[int, Field(ge=2, le=127)]
"""Last different items of a fitted session that are kept (candidates.session_index)."""

PER_TARGET = ("popularity", "retriever", "rules", "external", "custom")
"""Kinds of sources that may have a list, and so a column ``<name>_<target>``, for each target."""

HISTORY_WEIGHTS = TypeWeights(clicks=1, carts=6, orders=3)


class HistorySettings(Frozen):
    """The session's own items, by recency and type."""

    kind: Literal["history"] = "history"
    k: Depth = 40
    type_weights: TypeWeights = HISTORY_WEIGHTS
    first_power: float = 0.1
    """The i-th of n events weighs 2^p - 1, with p rising evenly from ``first_power`` to ``last_power``."""
    last_power: float = 1.0


class PopularitySettings(Frozen):
    """The most frequent items of the last days, one list a target."""

    kind: Literal["popularity"] = "popularity"
    k: Depth = 20
    days: Annotated[float, Field(gt=0)] = 7
    """Length of the window that ends with the last event; the whole log where the shop has no time."""


class ProfileSettings(Frozen):
    """Which items of a session are looked up, and how much each of them counts."""

    tail: Annotated[int, Field(ge=1)] = 30
    """Last events of the session that are looked up."""
    type_weights: TypeWeights = HISTORY_WEIGHTS
    first_power: float = 0.1
    """As in the source ``history``, over the tail."""
    last_power: float = 1.0
    exclude_seen: bool = False
    """Whether items of the session itself are left out."""


class LookupSettings(ProfileSettings):
    """How neighbours of the session's items are summed."""

    neighbour_weight: Literal["share", "rank"] = "share"
    """``share`` a neighbour's score divided by that of the item's first neighbour; ``rank`` 1 / (1 + its place)."""


class NeighboursSettings(LookupSettings):
    """Co-visited items of the session's items, summed with recency and type weights."""

    kind: Literal["neighbours"] = "neighbours"
    k: Depth = 40
    matrix: str
    """Name of the recipe whose matrix is looked up."""


class ItemKnnSettings(LookupSettings):
    """Nearest neighbours of the session's items, by the sessions that have both."""

    kind: Literal["item_knn"] = "item_knn"
    k: Depth = 60
    tail: Annotated[int, Field(ge=1)] = 5
    type_weights: TypeWeights = TypeWeights()
    weighting: Literal["cosine", "bm25"] = "bm25"
    """How an item's sessions are weighed; see ``candidates.item_knn``."""
    session_items: IndexItems = 20
    top_k: Annotated[int, Field(ge=1, le=1000)] = 40
    """Neighbours kept for each item."""
    shrink: Annotated[float, Field(ge=0)] = 10
    """For ``cosine``: added below the line, so that a few common sessions of rare items count for less."""
    k1: Annotated[float, Field(ge=0)] = 0.2
    b: Annotated[float, Field(ge=0, le=1)] = 0.75
    """For ``bm25``: how much an item's number of sessions weighs down, and how far by its ratio to the mean."""


class SessionKnnSettings(ProfileSettings):
    """Items of the most similar recent sessions."""

    kind: Literal["session_knn"] = "session_knn"
    k: Depth = 40
    tail: Annotated[int, Field(ge=1)] = 5
    session_items: IndexItems = 10
    recent: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Latest sessions with an item that are looked at."""
    neighbours: Annotated[int, Field(ge=1, le=10_000)] = 200
    decay_days: Annotated[float, Field(gt=0)] = 30
    """Days after which a neighbour counts 1/e."""
    decay_items: Annotated[float, Field(gt=0)] = 10
    """Places from the shared item after which a neighbour's item counts 1/e."""


class CollaborativeSettings(Frozen):
    """What the two classic collaborative filters have in common."""

    similarity: Literal["cosine", "pearson"] = "cosine"
    """Of vectors of 0 and 1; Pearson's correlation discounts what two popular ones share by chance."""
    k: Depth = 60
    session_items: IndexItems = 127
    """Last different items of a session that are its vector."""
    exclude_seen: bool = False
    """Whether items of the session itself are left out."""


class ItemCfSettings(CollaborativeSettings):
    """Item-item collaborative filtering as in the textbook: similarities to the session's items, summed."""

    kind: Literal["item_cf"] = "item_cf"
    top_k: Annotated[int, Field(ge=1, le=1000)] = 100
    """Neighbours kept for each item."""


class UserCfSettings(CollaborativeSettings):
    """User-user collaborative filtering as in the textbook: items of the most similar sessions, summed."""

    kind: Literal["user_cf"] = "user_cf"
    recent: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """Latest sessions with an item that are looked at."""
    neighbours: Annotated[int, Field(ge=1, le=10_000)] = 100


class WalksSettings(ProfileSettings):
    """Neighbours of the neighbours: two steps on the item graph of a matrix."""

    kind: Literal["walks"] = "walks"
    k: Depth = 40
    matrix: str
    """Name of the recipe whose matrix is the graph."""
    tail: Annotated[int, Field(ge=1)] = 4
    type_weights: TypeWeights = TypeWeights()
    frontier: Annotated[int, Field(ge=1, le=1000)] = 30
    """Items that the second step starts from, the likeliest after the first."""


class RetrieverSourceSettings(Frozen):
    """Items nearest to the session in the space of a retriever (``[models.retrievers]``)."""

    kind: Literal["retriever"] = "retriever"
    k: Depth = 40
    retriever: str
    """Its name. A retriever that no source names has a source of its own name."""


class KnowledgeSourceSettings(Frozen):
    """Items that are like the session's last ones by what is known of them (``[knowledge]``)."""

    kind: Literal["knowledge"] = "knowledge"
    k: Depth = 40
    items: Literal["all", "cold"] = "all"
    """``cold`` proposes none but items without an event in the fit; these need ``knowledge.cold``."""
    tail: Annotated[int, Field(ge=1)] = 5
    """Last events of the session that are looked up."""
    half_life: Annotated[float, Field(gt=0)] = 2
    """Events after which one weighs half."""
    category: Weight = 1.0
    """Weight of the category; the parent category has half of it."""
    brand: Weight = 0.5
    text: Weight = 1.0
    vectors: Weight = 1.0
    """Weight of each kind of the user's vectors."""
    exclude_seen: bool = True
    index: IndexSettings = IndexSettings()


class RulesSettings(Frozen):
    """A Python function on one session, run by pandarallel."""

    kind: Literal["rules"] = "rules"
    k: Depth = 20
    function: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")] = "candidates.default_rules:rule"
    """``package.module:function``, called as ``rule(session, tables, target)``; see ``candidates.rules``."""
    days: Annotated[float, Field(gt=0)] = 7
    """Window of the tables ``popular_<target>``."""
    workers: Annotated[int, Field(ge=1)] | None = None
    """Processes; left out, as many as the threads of the run."""
    parallel_from: Annotated[int, Field(ge=1)] = 50_000
    """Fewer sessions are worked through in this process: starting workers takes some seconds."""
    progress: bool = True
    """Whether the workers show progress bars."""


class ExternalSettings(Frozen):
    """Candidates made elsewhere: a Parquet file ``session, aid, score`` and perhaps ``target``, with source ids."""

    kind: Literal["external"] = "external"
    k: Depth = 50
    path: Path


class CustomSettings(Frozen):
    """A source of the user's own: a class called with (name, options) that obeys ``candidates.source.Source``."""

    kind: Literal["custom"] = "custom"
    k: Depth = 50
    source: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]
    """``package.module:Class``."""
    options: dict[str, Any] = Field(default={})


SourceSettings = Annotated[
    HistorySettings
    | PopularitySettings
    | NeighboursSettings
    | ItemKnnSettings
    | SessionKnnSettings
    | ItemCfSettings
    | UserCfSettings
    | WalksSettings
    | RetrieverSourceSettings
    | KnowledgeSourceSettings
    | RulesSettings
    | ExternalSettings
    | CustomSettings,
    Field(discriminator="kind"),
]

DEFAULT_RECIPES = {
    "clicks": Recipe(time_base=1, time_slope=3, top_k=20),
    "carts_orders": Recipe(type_weights=HISTORY_WEIGHTS, top_k=15),
    "buy2buy": Recipe(window_seconds=14 * DAY, types_x=("carts", "orders"), types_y=("carts", "orders"), top_k=15),
    "next": Recipe(direction="forward", top_k=20),
}
"""The three matrices of the public notebooks, which the rules look up, and a directed one: what comes later."""

DEFAULT_SOURCES: dict[str, SourceSettings] = {
    "history": HistorySettings(),
    "popularity": PopularitySettings(k=10),
    "near_clicks": NeighboursSettings(matrix="clicks", k=80),
    "near_carts_orders": NeighboursSettings(matrix="carts_orders", k=20),
    "near_buy2buy": NeighboursSettings(matrix="buy2buy", k=15),
    "near_next": NeighboursSettings(matrix="next", k=30),
    "item_knn": ItemKnnSettings(),
    "walk_next": WalksSettings(matrix="next"),
}


class CandidatesSettings(Frozen):
    """What proposes candidates, and how many.

    Recipes and sources that a config names are added to the default ones; one with the name of a default changes
    only the keys it gives (a source of another kind takes its place).
    """

    defaults: bool = True
    """Whether the default recipes and sources are there; without them only those named count, of sources those named
    with their kind: what a config changes of a default one (``near_next = { k = 40 }``) goes with it."""
    recipes: dict[Name, Recipe] = Field(default={})
    sources: dict[Name, SourceSettings] = Field(default={})
    """Sources of the pool by name, in the order of its columns: the default ones come first."""
    rules: RulesSettings = RulesSettings()
    """The handcrafted rules that the ranker is compared with."""

    @model_validator(mode="before")
    @classmethod
    def _add_defaults(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        if data.get("defaults", True) is False:
            return {**data, "sources": without_changes(DEFAULT_SOURCES, data.get("sources", {}))}
        recipes = merge_named(DEFAULT_RECIPES, data.get("recipes", {}))
        return {**data, "recipes": recipes, "sources": merge_named(DEFAULT_SOURCES, data.get("sources", {}))}

    @model_validator(mode="after")
    def _names_fit(self) -> "CandidatesSettings":
        _check_columns(self.sources)
        for name, source in self.sources.items():
            if isinstance(source, NeighboursSettings | WalksSettings) and source.matrix not in self.recipes:
                raise ValueError(f"source {name!r} looks up the matrix {source.matrix!r}, which no recipe makes")
        return self


def _check_columns(sources: Mapping[str, SourceSettings]) -> None:
    for name in sources:
        other, _, target = name.rpartition("_")
        if target in TARGETS and getattr(sources.get(other), "kind", None) in PER_TARGET:
            raise ValueError(f"source {name!r} has the name of a column of source {other!r}")


def with_retrievers(settings: CandidatesSettings, models: ModelsSettings) -> CandidatesSettings:
    """The settings with a source for each retriever that is on and that no source names, behind the others.

    Raises
    ------
    ValueError
        If a source names a retriever that there is not, or a retriever has the name of a source or of its column.
    """
    named = {one.retriever for one in settings.sources.values() if isinstance(one, RetrieverSourceSettings)}
    for name in sorted(named - set(models.retrievers)):
        raise ValueError(f"a source names the retriever {name!r}, which models.retrievers does not have")
    own: dict[str, SourceSettings] = {
        name: RetrieverSourceSettings(retriever=name, k=one.k)
        for name, one in models.retrievers.items()
        if one.on and one.k > 0 and name not in named
    }
    for name in sorted(set(own) & set(settings.sources)):
        raise ValueError(f"the retriever {name!r} has the name of a source")
    sources = {**settings.sources, **own}
    _check_columns(sources)
    return settings.model_copy(update={"sources": sources})
