"""The lists of each rung below the ranker, each with its own list a target."""

from dataclasses import replace

from candidates.building import Shared, build_source
from candidates.pool import Arena
from candidates.settings import SourceSettings
from candidates.source_set import SourceSet, recommend
from candidates.unseen import leave_out_seen
from events.lists import Lists
from events.log import SessionLog
from events.passes import PassData
from models.building import Conditions, build_retriever
from models.searcher import Searcher
from rankers.scoring import chunks
from rankers.topk import top_lists
from scripts import retrievers
from scripts.artifacts import open_matrices
from scripts.knowledge import open_knowledge
from scripts.pipeline import Run
from scripts.resources import Meter
from scripts.rungs import CLASSIC, COLLABORATIVE, NEUMF, classic_settings, retriever_settings

MOST = 1_000
"""Items that a rung is asked for, at most, so that enough are left without the session's own."""


def rung_lists(
    rung: str, settings: SourceSettings, shared: Shared, data: PassData, log: SessionLog, k: int
) -> dict[str, Lists]:
    """The lists of one source, alone, for each target of a pass."""
    source = build_source(rung, settings, shared).fit(data.fit)
    lists = {own: recommend(source, log, k, own, shared.threads) for own in source.targets or (None,)}
    return {target: lists[target if target in lists else None] for target in data.targets}


def baseline_lists(name: str, run: Run, data: PassData, log: SessionLog, sources: SourceSet) -> dict[str, Lists]:
    """The first ``submissions.k`` items of the rung ``name`` for the sessions of ``log``, for each target of the pass.

    A source or a retriever of the run is asked as it was fitted. A retriever that is off is fitted for the ladder
    alone; it is kept beside those of the run, so that it is fitted once.

    Raises
    ------
    InputError
        If the shop lacks what a retriever needs.
    """
    k = run.settings.submissions.k
    if not run.settings.evaluation.exclude_seen:
        return _lists(name, run, data, log, sources, k)
    deep = min(k + int(log.lengths.max(initial=0)), max(k, MOST))
    lists = _lists(name, run, data, log, sources, deep)
    return {target: leave_out_seen(one, log, k) for target, one in lists.items()}


def _lists(name: str, run: Run, data: PassData, log: SessionLog, sources: SourceSet, k: int) -> dict[str, Lists]:
    settings = run.settings
    shared = Shared(open_matrices(run, data.name), threads=settings.n_threads)
    if name in CLASSIC:
        return rung_lists(name, classic_settings(name, settings.candidates), shared, data, log, k)
    if name in sources.searchers:
        return _searched(sources.searchers[name], log, k, data, settings.rankers.chunk_sessions)
    if name in sources.sources:
        source = sources.sources[name]
        lists = {own: recommend(source, log, k, own, shared.threads) for own in source.targets or (None,)}
        return {target: lists[target if target in lists else None] for target in data.targets}
    if name == NEUMF:
        return _scored(run, data, log, sources, k)
    if name in COLLABORATIVE:
        return rung_lists(name, COLLABORATIVE[name], shared, data, log, k)
    return _searched(_fitted_alone(name, run, data), log, k, data, settings.rankers.chunk_sessions)


def _searched(searcher: Searcher, log: SessionLog, k: int, data: PassData, chunk: int) -> dict[str, Lists]:
    parts: dict[str | None, list[Lists]] = {target: [] for target in searcher.indices}
    for start, stop in chunks(len(log), chunk, "ladder"):
        part = log.slice(start, stop)
        encoded = searcher.encode(part)
        for target, lists in parts.items():
            lists.append(searcher.search(part, encoded, k, target))
    whole = {target: Lists.concat(lists) for target, lists in parts.items()}
    return {target: whole[target if target in whole else None] for target in data.targets}


def _fitted_alone(name: str, run: Run, data: PassData) -> Searcher:
    """A retriever that is off in this run, or that the run does not name."""
    models, one = run.settings.models, retriever_settings(name, run.settings.models)
    assert one is not None  # the names were checked with the settings
    switched = one.model_copy(update={"on": True})
    models = models.model_copy(update={"retrievers": {**models.retrievers, name: switched}})
    alone = replace(run, settings=run.settings.model_copy(update={"models": models}))
    folder = retrievers.make_one(alone, data.name, name)
    conditions = Conditions(models.seed, knowledge=open_knowledge(run, data.name))
    return Searcher.load(folder, build_retriever(name, switched, conditions), models.index)


def _scored(run: Run, data: PassData, log: SessionLog, sources: SourceSet, k: int) -> dict[str, Lists]:
    """The pool's candidates in NeuMF's order, which is the same for every target."""
    from models.neumf import NeuMF  # torch is imported only where a model is asked for

    settings, threads = run.settings, run.settings.n_threads
    with Meter() as meter:
        model = NeuMF(NEUMF, settings.evaluation.neumf, threads).fit(data.fit)
    print(f"  {NEUMF}: fitted in {meter.wall_s:.1f} s; it orders the candidates of the pool", flush=True)
    arena, parts = Arena(), []
    for start, stop in chunks(len(log), settings.rankers.chunk_sessions, NEUMF):
        part = log.slice(start, stop)
        pool = sources.pool(part, arena)
        scores = model.score(part, pool.offsets, pool.aids)
        parts.append(top_lists(pool, scores, k))
    return dict.fromkeys(data.targets, Lists.concat(parts))
