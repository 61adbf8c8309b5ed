"""What the step behind the rankers, and the measure of diversity, need of a run: item vectors and categories."""

from candidates.source_set import SourceSet
from events.categories import category_sets, load_categories
from events.errors import InputError
from events.log import SessionLog
from rankers.rerank import ITEMS, Reranker, chosen_searcher
from scripts.pipeline import Run
from submissions.catalogue_metrics import Catalogue

DIVERSITY = "diversity"


def open_reranker(run: Run, sources: SourceSet) -> Reranker | None:
    """The step of a pass whose sources are these; ``None`` where it is off.

    Raises
    ------
    InputError
        If the run has no such item vectors, or the shop no categories.
    """
    return Reranker.open(run.settings.rerank, sources.searchers, run.prepared / ITEMS)


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
    searcher = chosen_searcher(sources.searchers, named, "evaluation.vectors")
    if searcher is not None:
        return Catalogue.of(fit, searcher.retriever.item_vectors(next(iter(searcher.indices))))
    path = run.prepared / ITEMS
    categories = load_categories(path)
    if categories is None:
        problem = "diversity is asked for, and the run has neither a retriever nor categories of items"
        raise InputError(path, None, problem, "switch a retriever on, or leave diversity out of evaluation.metrics")
    return Catalogue.of(fit, None, category_sets(categories))
