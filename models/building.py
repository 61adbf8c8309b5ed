"""From settings to retrievers: the one place that knows every kind. A model is imported where it is built."""

from dataclasses import dataclass
from pathlib import Path

from events.errors import InputError
from events.plugins import load_object
from models.retriever import Retriever
from models.retriever_settings import CustomRetrieverSettings, RetrieverSettings
from models.settings import AnyRetriever, ModelsSettings
from models.svd_settings import SvdSettings


@dataclass(frozen=True, slots=True)
class Conditions:
    """What retrievers are built with, besides their settings.

    work     : folder for checkpoints of a long fit, made by whoever needs it; ``None`` for none
    progress : whether bars may be shown (on a terminal)
    """

    seed: int = 0
    threads: int = 1
    work: Path | None = None
    progress: bool = False


def build_retriever(name: str, settings: AnyRetriever, conditions: Conditions) -> Retriever:
    """The retriever of these settings, not yet fitted.

    Raises
    ------
    InputError
        If a class of the user's own cannot be found or does not keep the contract.
    """
    match settings:
        case SvdSettings():
            from models.svd import Svd

            return Svd(name, settings, conditions.seed)
        case CustomRetrieverSettings():
            return _custom(name, settings)


def why_left_out(name: str, settings: ModelsSettings, has: frozenset[str]) -> str | None:
    """Why a run on a shop with the columns ``has`` goes without a retriever; ``None`` if it does not."""
    one = settings.retrievers[name]
    if not one.on:
        return "it is off"
    missing = _needs(name, one) - has
    return f"the shop has no {' and no '.join(sorted(missing))}" if missing else None


def _needs(name: str, settings: RetrieverSettings) -> frozenset[str]:
    return _custom(name, settings).needs if isinstance(settings, CustomRetrieverSettings) else settings.needs


def _custom(name: str, settings: CustomRetrieverSettings) -> Retriever:
    retriever = load_object(settings.retriever)(name, settings.options)
    if not isinstance(retriever, Retriever):
        remedy = "give the class what models.retriever.Retriever names"
        raise InputError(f"models.retrievers.{name}", None, f"{settings.retriever} is not a retriever", remedy)
    return retriever
