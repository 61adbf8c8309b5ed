"""What the step behind the rankers, and the measure of diversity, need of a run: item vectors and categories."""

from collections.abc import Mapping

from candidates.source_set import SourceSet
from events.categories import category_sets, level_codes, load_categories, need_categories
from events.errors import InputError
from events.log import SessionLog
from models.searcher import Searcher
from rankers.rerank import Reranker
from scripts.pipeline import Run
from submissions.catalogue_metrics import Catalogue

DIVERSITY = "diversity"


def _chosen(searchers: Mapping[str, Searcher], name: str | None, key: str) -> Searcher | None:
    """The retriever of this name, or the first of the run.

    Raises
    ------
    InputError
        If the run has no retriever of this name.
    """
    if name is None:
        return next(iter(searchers.values()), None)
    if name not in searchers:
        problem = f"this run has no retriever {name!r}, but {', '.join(searchers) or 'none at all'}"
        raise InputError(key, None, problem, f"name one of them, or set models.retrievers.{name}.on=true")
    return searchers[name]


def open_reranker(run: Run, sources: SourceSet) -> Reranker | None:
    """The step of a pass whose sources are these; ``None`` where it is off.

    Raises
    ------
    InputError
        If the run has no such item vectors, or the shop no categories.
    """
    settings = run.settings.rerank
    if not settings.on:
        return None
    vectors = {}
    if settings.mmr is not None:
        searcher = _chosen(sources.searchers, settings.vectors, "rerank.vectors")
        if searcher is None:
            raise InputError("rerank.mmr", None, "this run has no retriever, so no item vectors", "switch one on")
        vectors = {target: searcher.retriever.item_vectors(target) for target in searcher.indices}
    categories = None
    if settings.category_cap is not None:
        categories = level_codes(need_categories(run.prepared / "items.parquet"), settings.category_level)
    return Reranker(settings, vectors, categories)


def open_catalogue(run: Run, fit: SessionLog, sources: SourceSet, diversity: bool) -> Catalogue:
    """What the metrics of catalogues need; vectors or categories only where diversity is asked for.

    Raises
    ------
    InputError
        If it is, and there are neither.
    """
    if not diversity:
        return Catalogue.of(fit)
    evaluation, rerank = run.settings.evaluation, run.settings.rerank
    named = evaluation.vectors or rerank.vectors
    searcher = _chosen(sources.searchers, named, "evaluation.vectors")
    if searcher is not None:
        return Catalogue.of(fit, searcher.retriever.item_vectors(next(iter(searcher.indices))))
    path = run.prepared / "items.parquet"
    categories = load_categories(path)
    if categories is None:
        problem = "diversity is asked for, and the run has neither a retriever nor categories of items"
        raise InputError(path, None, problem, "switch a retriever on, or leave diversity out of evaluation.metrics")
    return Catalogue.of(fit, None, category_sets(categories))
