"""Fitted sequence models, opened to be asked: as arrays that numba kernels read sessions with, without torch.

torch takes a second to import and its calls cost more than what they compute for one session. What is computed is the
same but for rounding (see the tests), and the same on every device: all stages behind ``retrievers`` ask in this way.
"""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from events.arrays import F32, Flags
from events.columns import TARGETS
from events.errors import InputError
from events.files import need_array, read_json
from events.log import SessionLog
from models.compact import keep_known, spread_events
from models.reading_kernels import (
    Asking,
    Block,
    Layer,
    Norm,
    Pools,
    Sessions,
    Units,
    read_pools,
    read_recurrent,
    read_transformer,
)
from models.training_settings import GRU4RecSettings, SASRecSettings, SequenceSettings
from models.two_tower_settings import TwoTowerSettings

SESSIONS_PER_PIECE: Final = 1_000
"""Fewer sessions are not worth a thread of their own."""
TRAIN_AGAIN: Final = "run the stage retrievers again"


class Opened:
    """What a :class:`models.sequence.SequenceRetriever` saved, GRU4Rec, SASRec or two towers that know of no users.

    Read-only. A session's vector depends on that session alone, bit for bit.
    """

    needs: frozenset[str] = frozenset()

    def __init__(self, name: str, settings: SequenceSettings, threads: int = 1) -> None:
        """``threads`` that share many sessions out."""
        self.name, self.settings, self._threads = name, settings, max(threads, 1)
        self.targets: tuple[str, ...] = ()
        self._vectors = np.zeros((0, settings.dim), np.float32)
        self._known: Flags = np.zeros(0, np.bool_)

    @staticmethod
    def can_read(settings: SequenceSettings) -> bool:
        """Whether there is a kernel for models of these settings."""
        return isinstance(settings, GRU4RecSettings | SASRecSettings | TwoTowerSettings)

    @property
    def known(self) -> Flags:
        """bool[n_items] items that it can propose."""
        return self._known

    def fit(self, log: SessionLog) -> Self:
        """Never: it is opened only.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError(f"{self.name}: {len(log)} sessions are for models.building.build_retriever to fit")

    def save(self, folder: Path) -> None:
        """Never: it has been saved.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError(f"{self.name} was saved before, not to {folder}")

    def load(self, folder: Path) -> Self:
        """Open what a sequence retriever saved; tables are memory-mapped.

        Raises
        ------
        InputError
            If a file is missing or was written with other settings.
        """
        has = frozenset(read_json(folder / "model.json")["has"])
        self._known, table, self._vectors = (need_array(folder, name) for name in ("known", "table", "vectors"))
        try:
            self._net, self._parts = _network(self.settings, _arrays(folder / "network"), table, self._vectors)
        except (KeyError, TypeError, IndexError, ValueError):
            raise InputError(folder, None, "trained with other settings", TRAIN_AGAIN) from None
        self.targets = TARGETS if "types" in has else ()
        return self

    def item_vectors(self, target: str | None = None) -> F32:  # noqa: ARG002  (targets share the items' vectors)
        """float32[n_items, d], one set for all targets."""
        return self._vectors

    def session_vectors(self, log: SessionLog, target: str | None = None) -> F32:
        """float32[S, d] of what goes on with each session; of clicks where no target is named."""
        vectors: F32 = self._read(log)[0][_row(target)]
        return vectors

    def revisits(self, log: SessionLog, target: str | None = None) -> F32 | None:
        """float32[N] of what copying adds to the items of the session; ``None`` without copying."""
        added = self._read(log)[1]
        return None if added is None else added[_row(target)]

    def encode(self, log: SessionLog) -> dict[str | None, tuple[F32, F32 | None]]:
        """For each target (``None`` if there is one set for all) the vectors and revisits, sessions read once."""
        queries, added = self._read(log)
        return {
            target: (queries[_row(target)], None if added is None else added[_row(target)])
            for target in self.targets or (None,)
        }

    def _read(self, log: SessionLog) -> tuple[F32, F32 | None]:
        """float32[T, S, d], and float32[T, N] if it copies."""
        less, places = keep_known(log, self._known)
        kinds, copies = max(len(self.targets), 1), self._net.query.size > 0
        queries = np.zeros((kinds, len(log), self._vectors.shape[1]), np.float32)
        added = np.zeros((kinds, less.n_events if copies else 0), np.float32)
        sessions = Sessions(less.offsets, less.aids, less.types_or_empty, less.ts_or_empty)

        def work(start: int, stop: int) -> None:
            shared: tuple[Any, ...] = sessions, self.settings.length, start, stop, queries, added
            match self.settings:
                case GRU4RecSettings():
                    read_recurrent(self._net, *self._parts, *shared)
                case SASRecSettings():
                    read_transformer(self._net, *self._parts, *shared)
                case _:
                    read_pools(self._net, *self._parts, *shared)

        pieces = min(self._threads, len(log) // SESSIONS_PER_PIECE)
        if pieces <= 1:
            work(0, len(log))
        else:
            bounds = np.linspace(0, len(log), pieces + 1).astype(np.int64).tolist()
            with ThreadPoolExecutor(pieces) as pool:
                for future in [pool.submit(work, start, stop) for start, stop in pairwise(bounds)]:
                    future.result()
        return queries, np.stack([spread_events(one, places, log) for one in added]) if copies else None


def _row(target: str | None) -> int:
    return 0 if target is None else TARGETS.index(target)


def _arrays(folder: Path) -> dict[str, F32]:
    """The arrays of a network by torch's names, from what ``models.checkpoint.save_state`` wrote."""
    names = read_json(folder / "state.json")["dict"]["network"]["dict"]
    return {name: np.array(need_array(folder, str(at["tensor"]))) for name, at in names.items()}


def _network(settings: SequenceSettings, state: dict[str, F32], table: F32, vectors: F32) -> tuple[Asking, Any]:
    """What all networks share, and the arguments of the encoder's kernel.

    Raises
    ------
    KeyError, ValueError
        If the arrays are not those of such settings.
    """

    def turned(name: str) -> F32:
        return np.ascontiguousarray(state[name].T)

    def layer(name: str) -> Layer:
        return Layer(turned(f"{name}.weight"), state[f"{name}.bias"])

    def norm(name: str) -> Norm:
        return Norm(state[f"{name}.weight"], state[f"{name}.bias"])

    dim, none = settings.dim, np.zeros((0, settings.dim), np.float32)
    if table.shape[1] != dim or (settings.copying != ("copying.query.weight" in state)):
        raise ValueError("other settings")
    net = Asking(
        table,
        vectors,
        state.get("types.weight", none),
        state.get("gaps.weight", none),
        norm("asking.norm"),
        state.get("asking.targets.weight", np.zeros((1, dim), np.float32)),
        layer("asking.widen"),
        layer("asking.narrow"),
        float(np.exp(state["log_scale"])) if settings.normalise else 0.0,
        turned("copying.query.weight") if settings.copying else none,
        turned("copying.key.weight") if settings.copying else none,
        state["copying.distance.weight"].ravel() if settings.copying else np.zeros(0, np.float32),
    )
    match settings:
        case GRU4RecSettings():
            units = tuple(
                Units(
                    *(
                        Layer(turned(f"encoder.units.weight_{which}_l{i}"), state[f"encoder.units.bias_{which}_l{i}"])
                        for which in ("ih", "hh")
                    )
                )
                for i in range(settings.layers)
            )
            return net, (units, layer("encoder.leave"))
        case SASRecSettings():
            blocks = tuple(
                Block(
                    norm(f"{block}.before_attention"),
                    layer(f"{block}.project"),
                    layer(f"{block}.merge"),
                    norm(f"{block}.before_layers"),
                    layer(f"{block}.layers.0"),
                    layer(f"{block}.layers.2"),
                )
                for block in (f"encoder.blocks.{i}" for i in range(settings.layers))
            )
            return net, (state["encoder.positions.weight"], blocks, norm("encoder.norm"), settings.heads)
        case _:
            pools = Pools(
                layer("encoder.item"),
                state["encoder.distance.weight"],
                state["encoder.recency.weight"],
                layer("encoder.widen"),
                layer("encoder.narrow"),
            )
            return net, (pools,)
