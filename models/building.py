"""From settings to retrievers: the one place that knows every kind. A model is imported where it is built."""

from dataclasses import dataclass
from pathlib import Path

from events.errors import InputError
from events.knowledge.fitted import Knowledge
from events.plugins import load_object
from models.bert4rec_settings import BERT4RecSettings
from models.factor_settings import AlsSettings, BprSettings
from models.item2vec_settings import Item2VecSettings
from models.retriever import Retriever
from models.retriever_settings import CustomRetrieverSettings, RetrieverSettings
from models.settings import AnyRetriever, ModelsSettings
from models.svd_settings import SvdSettings
from models.training_settings import GRU4RecSettings, SASRecSettings, SequenceSettings
from models.two_tower_settings import TwoTowerSettings


@dataclass(frozen=True, slots=True)
class Conditions:
    """What retrievers are built with, besides their settings.

    work     : folder for checkpoints of a long fit, made by whoever needs it; ``None`` for none
    progress : whether bars may be shown (on a terminal)
    knowledge : what is known of the pass's items and sessions, which the two towers read; ``None`` if nothing
    """

    seed: int = 0
    threads: int = 1
    work: Path | None = None
    progress: bool = False
    knowledge: Knowledge | None = None


def build_retriever(name: str, settings: AnyRetriever, conditions: Conditions) -> Retriever:
    """The retriever of these settings, not yet fitted.

    Raises
    ------
    InputError
        If a class of the user's own cannot be found or does not keep the contract.
    """
    seed, threads, work, progress = conditions.seed, conditions.threads, conditions.work, conditions.progress
    match settings:
        case SequenceSettings():
            return _sequence(name, _seeded(settings, seed), threads, work, conditions.knowledge)
        case Item2VecSettings():
            from models.item2vec import Item2Vec

            return Item2Vec(name, settings, seed, threads, work, progress)
        case AlsSettings():
            from models.als import Als

            return Als(name, settings.model_copy(update={"seed": settings.seed + seed}), threads, progress)
        case BprSettings():
            from models.bpr import Bpr

            return Bpr(name, settings.model_copy(update={"seed": settings.seed + seed}), threads, progress)
        case SvdSettings():
            from models.svd import Svd

            return Svd(name, settings, seed)
        case CustomRetrieverSettings():
            return _custom(name, settings)


def open_retriever(name: str, settings: AnyRetriever, conditions: Conditions) -> Retriever:
    """The retriever of these settings to load what was fitted into: where that will do, without torch.

    Raises
    ------
    InputError
        Likewise.
    """
    if isinstance(settings, SequenceSettings):
        from models.opened import Opened

        users = conditions.knowledge is not None and conditions.knowledge.users is not None
        if Opened.can_read(settings) and not (users and reads_knowledge(settings)):
            return Opened(name, settings, conditions.threads)
    return build_retriever(name, settings, conditions)


def reads_knowledge(settings: AnyRetriever) -> bool:
    """Whether what is known of items and sessions is of any use to a retriever of these settings."""
    return isinstance(settings, TwoTowerSettings)


def _sequence(
    name: str, settings: SequenceSettings, threads: int, work: Path | None, knowledge: Knowledge | None
) -> Retriever:
    match settings:
        case TwoTowerSettings():
            from models.two_tower import TwoTower
            from models.two_tower_items import ItemFeatures
            from models.two_tower_users import UserFeatures

            features, users = ItemFeatures.of(knowledge), UserFeatures.of(knowledge)
            return TwoTower(name, settings, threads, work, features, users=users)
        case GRU4RecSettings():
            from models.gru4rec import GRU4Rec

            return GRU4Rec(name, settings, threads, work)
        case SASRecSettings():
            from models.sasrec import SASRec

            return SASRec(name, settings, threads, work)
        case BERT4RecSettings():
            from models.bert4rec import BERT4Rec

            return BERT4Rec(name, settings, threads, work)
    raise AssertionError(f"no model has settings {type(settings).__name__}")


def _seeded(settings: SequenceSettings, seed: int) -> SequenceSettings:
    training = settings.training.model_copy(update={"seed": settings.training.seed + seed})
    return settings.model_copy(update={"training": training})


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
