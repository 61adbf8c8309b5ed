import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.hashing import hash_ids
from events.randomness import mix


def slow_hash(text: str, seed: int) -> int:
    state = 0xCBF29CE484222325
    for byte in text.encode():
        state = ((state ^ byte) * 0x100000001B3) % 2**64
    return int(mix(seed, np.uint64(state)))


@given(st.lists(st.text(max_size=12), min_size=1), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_strings_hash_as_fnv_does(texts: list[str], seed: int) -> None:
    assert hash_ids(pl.Series(texts), seed).tolist() == [slow_hash(text, seed) for text in texts]


def test_slices_and_chunks_hash_as_the_whole() -> None:
    whole = pl.Series(["a", "bb", "", "dddd", "a"])
    expected = hash_ids(whole, 3)
    assert hash_ids(whole[2:], 3).tolist() == expected[2:].tolist()
    chunked = pl.concat([whole[:2], whole[2:]], rechunk=False)
    assert hash_ids(chunked, 3).tolist() == expected.tolist()
    assert expected[0] == expected[4]


def test_integers_spread_evenly_and_depend_on_the_seed() -> None:
    hashes = hash_ids(pl.Series(range(100_000)), 7)
    assert np.unique(hashes).size == 100_000
    tenths = np.bincount((hashes >> np.uint64(32)).astype(np.int64) * 10 >> 32, minlength=10)
    assert np.abs(tenths - 10_000).max() < 500
    assert not (hashes == hash_ids(pl.Series(range(100_000)), 8)).any()


def test_hashes_are_frozen() -> None:
    assert [hex(value) for value in hash_ids(pl.Series([0, 12899769]), 42)] == FROZEN_INTEGERS
    assert [hex(value) for value in hash_ids(pl.Series(["0", "é"]), 42)] == FROZEN_STRINGS


def test_nulls_are_refused() -> None:
    with pytest.raises(ValueError, match="null"):
        hash_ids(pl.Series([1, None]), 0)


FROZEN_INTEGERS = ["0x9bf240f533fe313e", "0xc1cafed06b92f679"]
FROZEN_STRINGS = ["0xc6cee15ffca6836d", "0x613360d7d24b8c4b"]
