"""From settings to sources: the one place that knows every kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from candidates.history import History
from candidates.neighbours import Neighbours
from candidates.popularity import Popularity
from candidates.recipes import usable_recipes
from candidates.settings import (
    CandidatesSettings,
    CustomSettings,
    HistorySettings,
    NeighboursSettings,
    PopularitySettings,
    SourceSettings,
)
from candidates.source import Source
from events.errors import InputError
from events.index import IdIndex
from events.lists import Lists


@dataclass(frozen=True, slots=True)
class Shared:
    """What sources are built from, besides their settings."""

    matrices: Mapping[str, Lists]
    items: IdIndex | None = None
    sessions: IdIndex | None = None
    threads: int = 1


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
        case CustomSettings():
            return _custom(name, settings)
        case _:
            raise ValueError(f"{name}: no source of kind {settings.kind!r}")


def why_left_out(name: str, settings: CandidatesSettings, has: frozenset[str]) -> str | None:
    """Why a shop with the columns ``has`` cannot serve a source; ``None`` if it can."""
    source = settings.sources[name]
    if isinstance(source, NeighboursSettings):
        reason = usable_recipes(settings.recipes, has)[1].get(source.matrix)
        return None if reason is None else f"there is no matrix {source.matrix}, because {reason}"
    if isinstance(source, CustomSettings):
        missing = _custom(name, source).needs - has
        return f"the shop has no {' and no '.join(sorted(missing))}" if missing else None
    return None


def load_object(path: str, where: str) -> Any:
    """The object that ``package.module:name`` names.

    Raises
    ------
    InputError
        If there is no such module or name; ``where`` is the setting that names it.
    """
    module, _, name = path.partition(":")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise InputError(
            where, None, f"cannot find {path!r}: {error}", "use an importable package.module:name"
        ) from None


def _custom(name: str, settings: CustomSettings) -> Source:
    source = load_object(settings.source, f"candidates.sources.{name}.source")(name, settings.options)
    if not isinstance(source, Source):
        remedy = "give the class name, targets, needs, fit, recommend, save and load"
        raise InputError(f"candidates.sources.{name}", None, f"{settings.source} is not a candidate source", remedy)
    return source
