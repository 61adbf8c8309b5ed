"""Counter-based randomness: every draw is a pure function of a seed and a counter.

Two draws with the same seed and counter are equal on any machine and for any number of threads, and any one of them
can be made again without making those before it. The mixer is SplitMix64 (Steele, Lea, Flood: Fast splittable
pseudorandom number generators, OOPSLA 2014).
"""

import numpy as np
import numpy.typing as npt

from events.compiled import kernel

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@kernel
def mix(seed: int, counter: int) -> np.uint64:
    """64 random bits for (seed, counter); both are taken modulo 2^64."""
    z = np.uint64(seed) + (np.uint64(counter) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    # A second round: seeds that differ by a multiple of GOLDEN would otherwise share a stream.
    z = (z ^ np.uint64(seed)) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(29))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(32))


@kernel
def uniform(seed: int, counter: int) -> float:
    """A float64 in [0, 1) with 53 random bits."""
    return float(mix(seed, counter) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@kernel
def below(seed: int, counter: int, n: int) -> np.int64:
    """An int64 in [0, n), for 1 <= n < 2^31 (bias below n / 2^32)."""
    return np.int64(((mix(seed, counter) >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@kernel
def uniforms(seed: int, counters: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """One float64 in [0, 1) for each counter."""
    out = np.empty(counters.size, np.float64)
    for i in range(counters.size):
        out[i] = uniform(seed, counters[i])
    return out
