"""Skip-gram with shared negatives: blocks of events are trained as small matrix products.

The draws of a block depend on the event at which it ends, so that no two threads share a stream.
"""

from typing import NamedTuple

import numpy as np

from events.arrays import F32, F64, I8, I32, I64, U32, Flags
from events.compiled import kernel, vectorised
from events.randomness import uniform
from models.alias import fill_draws
from models.tiles import TILE, product, turned_product

ZERO, ONE, HALF = np.float32(0), np.float32(1), np.float32(0.5)
LIMIT = np.float32(9.94)
"""Logit at which the fraction of :func:`sigmoid` reaches 0 or 1."""
A0, A1, A2 = np.float32(135135), np.float32(17325), np.float32(378)
B1, B2, B3 = np.float32(62370), np.float32(3150), np.float32(28)


class Weights(NamedTuple):
    """What is learned: vectors float32[n_items, d] and the sums of their gradients' mean squares float32[n_items]."""

    inputs: F32
    outputs: F32
    input_squares: F32
    output_squares: F32


class Events(NamedTuple):
    """A log's arrays; ``ts`` and ``types`` are empty where it has none."""

    offsets: I64
    aids: I32
    ts: I32
    types: I8


class Sampling(NamedTuple):
    """Chances of events and of negatives.

    keep_share  : float64[n_items] chance that an event of an item is kept; empty if all are
    keep, other : alias table of the negatives, see ``models.alias``
    """

    keep_share: F64
    keep: U32
    other: I32


class Pairing(NamedTuple):
    """Which pairs of a session's events count, and how much.

    decay        : float32[window + 1] weight of a pair by its distance, from 0
    type_weights : float32[3] weight by the type of the predicted event
    backward     : weight of predicting the earlier event from the later one
    max_gap      : seconds between the two events at most
    skip_self    : whether a pair of the same item is left out
    share        : weight of each shared negative, for a pair of weight 1
    """

    decay: F32
    type_weights: F32
    backward: float
    max_gap: int
    skip_self: bool
    share: float


class Block(NamedTuple):
    """Buffers of one thread for b events and k negatives.

    items int32[b], begins int64[b] (place of the first event of the session), fresh bool[b] (pairs that end here were
    not yet trained), when int32[b], weights float32[b], totals float32[b] (sum of the weights of an event's pairs)
    left, right : float32[b, d] inputs and outputs of the items, with gradients left_up, right_up
    negatives int32[k], their outputs negative float32[k, d], turned float32[d, k], gradient negative_up float32[k, d]
    logits      : float32[b, k], then what each event's pairs add to the gradient by each negative
    """

    items: I32
    begins: I64
    fresh: Flags
    when: I32
    weights: F32
    totals: F32
    left: F32
    right: F32
    left_up: F32
    right_up: F32
    negatives: I32
    negative: F32
    turned: F32
    negative_up: F32
    logits: F32

    @classmethod
    def of(cls, size: int, k: int, d: int) -> "Block":
        """Empty buffers."""
        items, begins, when = np.zeros(size, np.int32), np.zeros(size, np.int64), np.zeros(size, np.int32)
        fresh, weights, totals = np.zeros(size, np.bool_), np.ones(size, np.float32), np.zeros(size, np.float32)
        left, right, left_up, right_up = (np.zeros((size, d), np.float32) for _ in range(4))
        negative, turned, negative_up = (np.zeros(shape, np.float32) for shape in ((k, d), (d, k), (k, d)))
        return cls(
            items, begins, fresh, when, weights, totals, left, right, left_up, right_up,
            np.zeros(k, np.int32), negative, turned, negative_up, np.zeros((size, k), np.float32),
        )  # fmt: skip


@vectorised
def sigmoid(x: np.float32) -> np.float32:
    """1 / (1 + exp(-x)) to 5e-5: Lambert's fraction of the hyperbolic tangent, which vectorises."""
    x = LIMIT if x > LIMIT else (-LIMIT if x < -LIMIT else x)
    y = x * HALF
    z = y * y
    tangent = y * (A0 + z * (A1 + z * (A2 + z))) / (A0 + z * (B1 + z * (B2 + z * B3)))
    return np.float32(HALF + HALF * tangent)


@kernel
def train_sessions(
    first: int, last: int, seed: int, rate: float, events: Events, sampling: Sampling, pairing: Pairing,
    weights: Weights, block: Block,
) -> int:  # fmt: skip
    """Train on sessions ``first:last``, block after block; returns the number of events kept.

    Short sessions share a block; a long one goes on in the next, where its last ``window`` events stand again, so
    that no pair is lost or trained twice.
    """
    window = pairing.decay.size - 1
    n, kept = int(np.int64(0)), 0  # a literal 0 would have train_block compiled for it, too
    for s in range(first, last):
        start, stop = events.offsets[s], events.offsets[s + 1]
        if n > 0 and n + stop - start > block.items.size:
            fill_draws(sampling.keep, sampling.other, seed, start, block.negatives)
            train_block(n, rate, pairing, weights, block)
            n = 0
        begin = n
        for e in range(start, stop):
            aid = events.aids[e]
            if sampling.keep_share.size > 0 and uniform(~seed, e) >= sampling.keep_share[aid]:
                continue
            if n == block.items.size:
                fill_draws(sampling.keep, sampling.other, seed, e, block.negatives)
                train_block(n, rate, pairing, weights, block)
                again = min(window, n - begin)
                for i in range(again):
                    old = n - again + i
                    block.items[i], block.when[i] = block.items[old], block.when[old]
                    block.weights[i] = block.weights[old]
                    block.begins[i], block.fresh[i] = 0, False
                n, begin = again, 0
            block.items[n], block.begins[n], block.fresh[n] = aid, begin, True
            if events.ts.size > 0:
                block.when[n] = events.ts[e]
            if events.types.size > 0:
                block.weights[n] = pairing.type_weights[events.types[e]]
            n += 1
            kept += 1
    if n > 0:
        fill_draws(sampling.keep, sampling.other, seed, events.offsets[last], block.negatives)
        train_block(n, rate, pairing, weights, block)
    return kept


@vectorised
def train_block(n: int, rate: float, pairing: Pairing, weights: Weights, block: Block) -> None:
    """One step on the first ``n`` events of a block: all gradients at the weights before it, then a step an event.

    With weight w of a pair (x, y), s the logistic function, and the negatives of the block, the step ascends

        Σ pairs  w * (log s(in_x · out_y) + share * Σ negatives m  log s(-in_x · out_m))

    The second sum depends on x alone, so that it is computed once an event, not once a pair.
    """
    d, k, window = weights.inputs.shape[1], block.negatives.size, pairing.decay.size - 1
    padded = (n + TILE - 1) // TILE * TILE
    for i in range(padded):
        left, right, left_up, right_up = block.left[i], block.right[i], block.left_up[i], block.right_up[i]
        for c in range(d):
            left_up[c] = ZERO
            right_up[c] = ZERO
        logits = block.logits[i]
        for m in range(k):
            logits[m] = ZERO
        block.totals[i] = ZERO
        if i < n:
            source, target = weights.inputs[block.items[i]], weights.outputs[block.items[i]]
            for c in range(d):
                left[c] = source[c]
            for c in range(d):
                right[c] = target[c]
    for m in range(k):
        source, negative, negative_up = weights.outputs[block.negatives[m]], block.negative[m], block.negative_up[m]
        for c in range(d):
            negative[c] = source[c]
        for c in range(d):
            negative_up[c] = ZERO
    for c in range(d):
        turned = block.turned[c]
        for m in range(k):
            turned[m] = block.negative[m, c]

    backward = np.float32(pairing.backward)
    for i in range(n):
        for j in range(i + 1, min(i + window + 1, n)):
            if block.begins[j] != block.begins[i]:
                break
            if (
                not block.fresh[j]
                or np.int64(block.when[j]) - np.int64(block.when[i]) > pairing.max_gap
                or (pairing.skip_self and block.items[i] == block.items[j])
            ):
                continue
            train_pair(i, j, pairing.decay[j - i] * block.weights[j], block)
            if backward > ZERO:
                train_pair(j, i, backward * pairing.decay[j - i] * block.weights[i], block)

    product(padded, block.left, block.turned, block.logits)
    share = np.float32(pairing.share)
    for i in range(padded):
        logits, w = block.logits[i], -share * block.totals[i]
        for m in range(k):
            logits[m] = w * sigmoid(logits[m])
    product(padded, block.logits, block.negative, block.left_up)
    turned_product(padded, block.logits, block.left, block.negative_up)

    step = np.float32(rate)
    for i in range(n):
        ascend(weights.inputs, weights.input_squares, block.items[i], block.left_up[i], step)
        ascend(weights.outputs, weights.output_squares, block.items[i], block.right_up[i], step)
    for m in range(k):
        ascend(weights.outputs, weights.output_squares, block.negatives[m], block.negative_up[m], step)


@vectorised
def train_pair(i: int, j: int, weight: np.float32, block: Block) -> None:
    """Add the gradients of event ``i`` predicting event ``j``."""
    left, right, left_up, right_up = block.left[i], block.right[j], block.left_up[i], block.right_up[j]
    logit = ZERO
    for c in range(left.size):
        logit += left[c] * right[c]
    block.totals[i] += weight
    gradient = weight * sigmoid(-logit)
    for c in range(left.size):
        left_up[c] += gradient * right[c]
    for c in range(left.size):
        right_up[c] += gradient * left[c]


@vectorised
def ascend(vectors: F32, squares: F32, row: int, gradient: F32, rate: np.float32) -> None:
    """A step of row-wise Adagrad: one rate a row, by the root of the sum of its gradients' mean squares."""
    norm = ZERO
    for c in range(gradient.size):
        norm += gradient[c] * gradient[c]
    if norm == ZERO:
        return
    squares[row] += norm / np.float32(gradient.size)
    step, target = rate / np.sqrt(squares[row]), vectors[row]
    for c in range(gradient.size):
        target[c] += step * gradient[c]


@vectorised
def merge_rows(base: F32, copies: F32, first: int, last: int) -> None:
    """Fold what T threads did to rows ``first:last`` of a table into it, and set their copies to the outcome.

    base   : float32[n, d] the rows before;  copies : float32[T, n, d] the rows of each thread after

    A row's changes are added one after the other; of two changes a and b remains

        a (1 - a·b / 2a²) + b (1 - a·b / 2b²)

    their sum if they are orthogonal (or one is 0), their mean if they are equal: two threads that both moved a frequent
    item all the way do not overshoot, and a rare item that one of them met keeps its whole step.
    """
    threads, d = copies.shape[0], base.shape[1]
    change, other = np.empty(d, np.float32), np.empty(d, np.float32)
    for row in range(first, last):
        old = base[row]
        changed = False
        for t in range(threads):
            own = copies[t, row]
            both, mine, theirs = ZERO, ZERO, ZERO
            for c in range(d):
                other[c] = own[c] - old[c]
            for c in range(d):
                theirs += other[c] * other[c]
            if theirs == ZERO:
                continue
            if not changed:
                for c in range(d):
                    change[c] = other[c]
                changed = True
                continue
            for c in range(d):
                both += change[c] * other[c]
                mine += change[c] * change[c]
            for_mine = ONE - HALF * both / mine if mine > ZERO else ONE
            for_theirs = ONE - HALF * both / theirs
            for c in range(d):
                change[c] = for_mine * change[c] + for_theirs * other[c]
        if changed:
            for c in range(d):
                old[c] += change[c]
            for t in range(threads):
                own = copies[t, row]
                for c in range(d):
                    own[c] = old[c]


@kernel
def merge_sums(base: F32, copies: F32, first: int, last: int) -> None:
    """As :func:`merge_rows` for sums float32[n] and [T, n]: all that was added is added."""
    for row in range(first, last):
        added = np.float32(0)
        for t in range(copies.shape[0]):
            added += copies[t, row] - base[row]
        base[row] += added
        for t in range(copies.shape[0]):
            copies[t, row] = base[row]


@vectorised
def embed_sessions(
    offsets: I64, aids: I32, types: I8, known: Flags, vectors: F32, type_weights: F32, tail: int, decay: float,
    out: F32, shares: F32,
) -> None:  # fmt: skip
    """Mean of the vectors of each session's last ``tail`` events of known items, weighed by recency and type.

    out    : float32[S, d] zeros;  shares : float32[N] zeros, the share of each event in its session's mean

    The i-th event from the end weighs ``decay`` ^ i times its type's weight.
    """
    for s in range(offsets.size - 1):
        total, recency, met = ZERO, ONE, 0
        for e in range(offsets[s + 1] - 1, offsets[s] - 1, -1):
            if not known[aids[e]]:
                continue
            if met == tail:
                break
            met += 1
            shares[e] = recency * type_weights[types[e]]
            total += shares[e]
            recency *= np.float32(decay)
        if total == ZERO:
            continue
        for e in range(offsets[s], offsets[s + 1]):
            if shares[e] > ZERO:
                shares[e] /= total
                vector = vectors[aids[e]]
                for c in range(vector.size):
                    out[s, c] += shares[e] * vector[c]
