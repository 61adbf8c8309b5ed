"""The tower of items: an item's embedding, and what is known of it beside its events."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from events.arrays import F32, F64, I32, I64, Flags
from events.knowledge.fitted import Knowledge
from models.two_tower_settings import TwoTowerSettings

BLOCK = 65_536
"""Items whose vectors are made at a time."""


@dataclass(frozen=True, slots=True)
class ItemFeatures:
    """What is known of n items beside their events.

    categorical : int32[n, C] codes from 0, -1 where unknown
    numeric     : float32[n, F], NaN where unknown; brought to mean 0 and deviation 1
    vectors     : float32[n, V], 0 where unknown: they pass a linear layer
    cold        : bool[n] items that get a vector though no fitted session holds them
    """

    categorical: I32 | None = None
    numeric: F32 | None = None
    vectors: F32 | None = None
    cold: Flags | None = None

    @classmethod
    def of(cls, knowledge: Knowledge | None) -> "ItemFeatures":
        """Category, parent category and brand; logs of price and age; text and the user's vectors."""
        if knowledge is None:
            return cls()
        codes, spaces = list(knowledge.codes.values()), list(knowledge.spaces.values())
        numbers = [np.log1p(one) for one in (knowledge.price, knowledge.age) if one is not None]
        return cls(
            np.stack(codes, axis=1) if codes else None,
            np.stack(numbers, axis=1).astype(np.float32) if numbers else None,
            np.hstack(spaces) if spaces else None,
            np.asarray(knowledge.cold) if knowledge.cold.any() else None,
        )

    @property
    def known(self) -> bool:
        """Whether anything is."""
        return any(one is not None for one in self._arrays.values())

    @property
    def _arrays(self) -> dict[str, F32 | I32 | None]:
        return {"categorical": self.categorical, "numeric": self.numeric, "vectors": self.vectors}

    def take(self, rows: Flags | I64) -> "ItemFeatures":
        """Of the items where bool[n] ``rows`` is set, or of those at int64 ``rows``."""
        categorical = None if self.categorical is None else self.categorical[rows]
        numeric = None if self.numeric is None else self.numeric[rows]
        return ItemFeatures(categorical, numeric, None if self.vectors is None else self.vectors[rows])

    def check(self, n_items: int) -> None:
        """Raise ``ValueError`` unless there is a row for each item."""
        for name, array in self._arrays.items():
            if array is not None and (array.ndim != 2 or len(array) != n_items):
                raise ValueError(f"{name} features must have a row for each of {n_items:,} items")


class ItemTower(nn.Module):
    """The item's embedding, and what two layers add to it from popularity and features; vectors pass a layer more."""

    def __init__(self, settings: TwoTowerSettings, counts: I64, features: ItemFeatures) -> None:
        """``counts``: int64[n] events of the fitted items, the first rows of ``features``; cold items follow them."""
        super().__init__()
        rows = counts.size
        for array in (features.categorical, features.numeric, features.vectors):
            rows = rows if array is None else len(array)
        events = np.zeros(rows, np.float64)
        events[: counts.size] = np.log1p(counts)
        columns = [events[:, None]]
        if features.numeric is not None:
            columns.append(features.numeric.astype(np.float64))
        raw = np.hstack(columns)
        # The last row is an item without events.
        numbers = standardise(np.vstack([raw, np.zeros((1, raw.shape[1]))]), counts.size)
        self.register_buffer("numbers", torch.from_numpy(numbers[:-1].copy()), persistent=False)
        self.without_events = float(numbers[-1, 0])
        codes = np.zeros((rows, 0), np.int32) if features.categorical is None else features.categorical
        codes = renumber_codes(codes, counts.size)
        # Code -1 is the first row of each embedding.
        self.register_buffer("codes", torch.from_numpy(codes.astype(np.int64) + 1), persistent=False)
        sizes = codes.max(axis=0, initial=-1) + 2
        self.embeddings = nn.ModuleList(nn.Embedding(int(size), settings.dim) for size in sizes)
        for embedding in self.embeddings:
            assert isinstance(embedding, nn.Embedding)
            nn.init.normal_(embedding.weight, std=0.02)
        inputs = 2 * settings.dim + self.numbers.shape[1]
        self.widen, self.narrow = nn.Linear(inputs, settings.hidden), nn.Linear(settings.hidden, settings.dim)
        nn.init.zeros_(self.narrow.weight)
        nn.init.zeros_(self.narrow.bias)
        self.vectors: Tensor | None
        self.register_buffer(
            "vectors", None if features.vectors is None else torch.from_numpy(features.vectors), persistent=False
        )
        self.project = None if features.vectors is None else nn.Linear(features.vectors.shape[1], settings.dim, False)

    numbers: Tensor
    codes: Tensor

    def forward(self, rows: Tensor, ids: Tensor, bare: Tensor | None = None) -> Tensor:
        """float[U, d] of item embeddings float[U, d] and items int64[U].

        bare : bool[U] items that are to be seen as one without events is
        """
        numbers = self.numbers[ids].to(rows.dtype)
        if bare is not None:
            rows = rows.masked_fill(bare[:, None], 0.0)
            first = numbers[:, :1].masked_fill(bare[:, None], self.without_events)
            numbers = torch.cat([first, numbers[:, 1:]], dim=1)
        sort = torch.zeros_like(rows)
        for c, embedding in enumerate(self.embeddings):
            sort = sort + embedding(self.codes[ids, c])
        if self.project is not None:
            assert self.vectors is not None
            sort = sort + self.project(self.vectors[ids].to(rows.dtype))
        inner = F.gelu(self.widen(torch.cat([rows, sort, numbers], dim=1)))
        out: Tensor = rows + sort + self.narrow(inner)
        return out

    @torch.no_grad()
    def all_items(self, weight: Tensor, first: int = 0) -> F32:
        """float32[n, d] of the items from row ``first`` on, with embeddings float[n, d]."""
        made = np.empty(weight.shape, np.float32)
        for start in range(0, len(weight), BLOCK):
            stop = min(start + BLOCK, len(weight))
            ids = torch.arange(first + start, first + stop, device=weight.device)
            made[start:stop] = self(weight[start:stop], ids).cpu().numpy()
        return made


def standardise(numbers: F32 | F64, n: int | None = None) -> F32:
    """float32[rows, F] columns brought to mean 0 and deviation 1 of their first n rows (of all), unknown ones 0."""
    wide = numbers.astype(np.float64)
    known = np.isfinite(wide)
    counts = np.maximum(known[:n].sum(axis=0), 1)
    centred = np.where(known, wide - np.where(known, wide, 0.0)[:n].sum(axis=0) / counts, 0.0)
    deviation = np.sqrt((centred[:n] ** 2).sum(axis=0) / counts)
    scaled: F32 = (centred / np.where(deviation > 0, deviation, 1.0)).astype(np.float32)
    return scaled


def renumber_codes(codes: I32, n: int) -> I32:
    """Codes int32[rows, C] as places among those of the first n rows; what these do not hold is unknown, -1.

    So what is learned does not depend on categories that only items without events have.
    """
    out = np.full(codes.shape, -1, np.int32)
    for c in range(codes.shape[1]):
        there = np.unique(codes[:n, c])
        there = there[there >= 0]
        place = np.searchsorted(there, codes[:, c])
        held = place < there.size
        held[held] = there[place[held]] == codes[held, c]
        out[held, c] = place[held]
    return out
