"""Stable 64-bit hashes of source ids: for random cuts, samples and folds that do not depend on the order of a file."""

import numpy as np
import numpy.typing as npt
import polars as pl

from events.compiled import kernel
from events.randomness import mix

FNV_OFFSET = np.uint64(0xCBF29CE484222325)
FNV_PRIME = np.uint64(0x100000001B3)


def hash_ids(ids: pl.Series, seed: int) -> npt.NDArray[np.uint64]:
    """uint64[n] hash of each id: integers by SplitMix64, strings by FNV-1a and then SplitMix64; no nulls.

    The same id and seed give the same hash in every file, place and run.

    >>> hash_ids(pl.Series([7, 8]), 1)[0] == hash_ids(pl.Series([5, 7]), 1)[1]
    np.True_
    """
    if ids.null_count():
        raise ValueError("ids must not be null")
    if ids.dtype.is_integer():
        return _hash_integers(ids.cast(pl.Int64).to_numpy(), seed)
    array = ids.cast(pl.String).rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = array.buffers()
    places = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    text = np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    return _hash_strings(places, text, seed)


@kernel
def _hash_integers(ids: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.uint64]:
    out = np.empty(ids.size, np.uint64)
    for i in range(ids.size):
        out[i] = mix(seed, ids[i])
    return out


@kernel
def _hash_strings(offsets: npt.NDArray[np.int64], text: npt.NDArray[np.uint8], seed: int) -> npt.NDArray[np.uint64]:
    out = np.empty(offsets.size - 1, np.uint64)
    for i in range(out.size):
        state = FNV_OFFSET
        for place in range(offsets[i], offsets[i + 1]):
            state = (state ^ np.uint64(text[place])) * FNV_PRIME
        out[i] = mix(seed, state)  # type: ignore[arg-type]  # an unsigned counter
    return out
