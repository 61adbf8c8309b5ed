"""The training of item2vec: rounds of threads on copies of their own, merged in a fixed order."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from events.arrays import F32, I64
from events.files import atomic_folder, load_array, read_json, save_arrays, write_json
from events.log import SessionLog
from events.randomness import mix
from models.alias import alias_table
from models.item2vec_kernels import (
    Block,
    Events,
    Pairing,
    Sampling,
    Weights,
    merge_rows,
    merge_sums,
    train_sessions,
)
from models.item2vec_settings import Item2VecSettings

CHUNK_EVENTS = 16_384
"""Events of a chunk, the piece of work whose order is shuffled anew in each epoch; smaller logs have 64 chunks."""
LEAST_ROUNDS = 128
"""Of a training, about: what the threads learn of an item in a round is merged once, and with 16 threads that merge
ten times an epoch the recall@20 of clicks is .480 on the default shop, where that of one thread is .499."""
FOREVER = 2**40
"""Seconds that no two events of a log lie apart."""


def train(
    log: SessionLog,
    settings: Item2VecSettings,
    seed: int = 0,
    threads: int = 1,
    checkpoint: Path | None = None,
    progress: bool = True,
) -> tuple[F32, F32]:
    """Vectors of the items as they predict and as they are predicted, float32[n_items, d] each.

    checkpoint : folder in which the state is kept after every epoch; a training of the same log, settings, seed and
                 number of threads goes on from it, to the same vectors

    With one thread the steps follow one another; with more, every thread trains its own chunks of a round on its own
    copy (2 tables and their changes: 8 (T + 1) d bytes an item in all), and :func:`merge_rows` joins them. The outcome
    depends on the number of threads, but not on how they run.
    """
    if log.n_events == 0:
        empty = np.zeros((log.n_items, settings.dim), np.float32)
        return empty, empty
    plan = _Plan.of(log, settings, seed, threads)
    weights, done, digest = first_weights(log.n_items, settings.dim, seed), 0, ""
    if checkpoint is not None:
        digest = _digest(plan.events, settings, (seed, threads, log.n_items))
        weights, done = _resume(checkpoint, digest, weights)
    copies = _copies(weights, threads)
    own = [weights] if copies is None else [Weights(*(table[t] for table in copies)) for t in range(threads)]
    blocks = [Block.of(settings.block, settings.shared_negatives, settings.dim) for _ in range(threads)]
    bar = tqdm(
        total=plan.epochs * log.n_events, initial=done * log.n_events, desc="item2vec", unit=" tokens",
        unit_scale=True, disable=None if progress else True,
    )  # fmt: skip
    with bar, ThreadPoolExecutor(threads) as pool:
        for epoch in range(done, plan.epochs):
            for turn in plan.rounds(epoch):
                jobs = [
                    pool.submit(plan.run, epoch, turn[t::threads], own[t], blocks[t])
                    for t in range(min(threads, len(turn)))
                ]
                for job in jobs:
                    job.result()
                if copies is not None:
                    _merge(weights, copies, pool, threads)
                bar.update(sum(plan.size(chunk) for _, chunk in turn))
            if checkpoint is not None:
                with atomic_folder(checkpoint) as folder:
                    save_arrays(folder, **weights._asdict())
                    write_json(folder / "state.json", {"digest": digest, "epochs": epoch + 1})
    return weights.inputs, weights.outputs


def first_weights(n_items: int, d: int, seed: int) -> Weights:
    """Inputs even in ±1/2d, outputs 0, as word2vec starts."""
    inputs = np.random.default_rng(seed).random((n_items, d), dtype=np.float32)
    inputs -= np.float32(0.5)
    inputs /= np.float32(d)
    zeros = np.zeros((n_items, d), np.float32)
    return Weights(inputs, zeros, np.zeros(n_items, np.float32), np.zeros(n_items, np.float32))


def sampling_of(log: SessionLog, settings: Item2VecSettings) -> Sampling:
    """How often events are kept, and the table that negatives are drawn from."""
    counts = np.bincount(log.aids, minlength=log.n_items).astype(np.float64)
    drawn = np.where(counts > 0, counts**settings.negative_power, 0.0)
    keep_share = np.zeros(0)
    if settings.subsample is not None:
        ratio = settings.subsample * log.n_events / np.maximum(counts, 1.0)
        keep_share = np.minimum(1.0, np.sqrt(ratio) + ratio)
    return Sampling(keep_share, *alias_table(drawn))


def pairing_of(settings: Item2VecSettings) -> Pairing:
    """The settings of pairs as the kernels read them."""
    decay = np.zeros(settings.window + 1, np.float32)
    decay[1:] = np.arange(1.0, settings.window + 1) ** -settings.distance_power
    return Pairing(
        decay,
        np.array(settings.pair_type_weights, np.float32),
        settings.backward,
        FOREVER if settings.max_gap_seconds is None else settings.max_gap_seconds,
        settings.skip_self,
        settings.negatives / settings.shared_negatives,
    )


@dataclass(frozen=True, slots=True)
class _Plan:
    """The work of all epochs, cut into chunks of sessions ``bounds[i]:bounds[i+1]``."""

    bounds: I64
    events: Events
    sampling: Sampling
    pairing: Pairing
    rate: float
    epochs: int
    seed: int
    in_round: int

    @classmethod
    def of(cls, log: SessionLog, settings: Item2VecSettings, seed: int, threads: int) -> "_Plan":
        epochs = settings.epochs_of(log.n_events, int(np.count_nonzero(np.bincount(log.aids))))
        most = log.n_events * epochs / LEAST_ROUNDS / threads
        chunk = max(1, int(min(CHUNK_EVENTS, log.n_events / 64, most)))
        wanted = np.arange(0, log.n_events + chunk, chunk)
        bounds = np.unique(np.minimum(np.searchsorted(log.offsets, wanted), len(log)))
        nothing = np.zeros(0, np.int32)
        events = Events(
            log.offsets,
            log.aids,
            nothing if log.ts is None or settings.max_gap_seconds is None else log.ts,
            log.types_or_empty,
        )
        each = max(1, round(min(settings.round_tokens * log.n_items, most) / chunk))
        sampling, pairing = sampling_of(log, settings), pairing_of(settings)
        return cls(bounds, events, sampling, pairing, settings.rate, epochs, seed, each * threads)

    def rounds(self, epoch: int) -> Iterator[list[tuple[int, int]]]:
        """Of each round the chunks, with their places in the epoch's order."""
        n = self.bounds.size - 1
        order = np.random.default_rng((self.seed, epoch)).permutation(n).tolist()
        for start in range(0, n, self.in_round):
            yield [(place, order[place]) for place in range(start, min(n, start + self.in_round))]

    def size(self, chunk: int) -> int:
        """Events of a chunk."""
        return int(self.events.offsets[self.bounds[chunk + 1]] - self.events.offsets[self.bounds[chunk]])

    def run(self, epoch: int, chunks: list[tuple[int, int]], weights: Weights, block: Block) -> None:
        """Train one thread's chunks of a round."""
        n = self.bounds.size - 1
        seed = int(mix(self.seed, epoch) >> np.uint64(2))
        for place, chunk in chunks:
            rate = self.rate * (1.0 - (epoch * n + place) / (self.epochs * n))
            train_sessions(
                self.bounds[chunk], self.bounds[chunk + 1], seed, rate, self.events, self.sampling, self.pairing,
                weights, block,
            )  # fmt: skip


def _copies(weights: Weights, threads: int) -> Weights | None:
    """A copy for each thread, stacked; ``None`` for one thread, which works on the weights themselves."""
    if threads == 1:
        return None
    return Weights(*(np.repeat(table[None], threads, axis=0) for table in weights))


def _merge(weights: Weights, copies: Weights, pool: ThreadPoolExecutor, threads: int) -> None:
    """Join what the threads learned: rows are independent, so that it does not matter who merges which."""
    n = weights.inputs.shape[0]
    bounds = np.linspace(0, n, threads + 1).astype(np.int64)
    jobs = []
    for base, own in zip(weights, copies, strict=True):
        merge = merge_rows if base.ndim == 2 else merge_sums
        jobs += [pool.submit(merge, base, own, bounds[t], bounds[t + 1]) for t in range(threads)]
    for job in jobs:
        job.result()


def _digest(events: Events, settings: Item2VecSettings, numbers: tuple[int, int, int]) -> str:
    """Of all that the outcome depends on, but for the code."""
    digest = blake2b(json.dumps([settings.model_dump(), *numbers]).encode(), digest_size=16)
    for array in events:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _resume(folder: Path, digest: str, fresh: Weights) -> tuple[Weights, int]:
    """The weights of a checkpoint with this digest and its number of epochs, else the fresh ones."""
    if not (folder / "state.json").exists():
        return fresh, 0
    state: dict[str, Any] = read_json(folder / "state.json")
    tables = [load_array(folder, name) for name in Weights._fields]
    if state.get("digest") != digest or any(table is None for table in tables):
        return fresh, 0
    return Weights(*(np.array(table) for table in tables)), int(state["epochs"])
