"""Kernels that read sessions with trained networks: what ``models.network`` and the encoders compute, without torch.

One session at a time, every row of it by itself: so a vector is the same, bit for bit, in any company, and a single
session costs no more than a session of many. Weights of layers are float32[in, out], transposed from torch's.
"""

import math
from typing import NamedTuple

import numpy as np

from events.arrays import F32, I8, I32, I64
from events.compiled import inline, kernel, vectorised
from models.batches import GAP_BUCKETS, gap_bucket

EPSILON = np.float32(1e-5)
"""Of a layer normalisation."""


class Layer(NamedTuple):
    """A linear layer, float32[in, out] and float32[out]."""

    weight: F32
    bias: F32


class Norm(NamedTuple):
    """A layer normalisation, float32[d] each."""

    weight: F32
    bias: F32


class Asking(NamedTuple):
    """What all networks share; arrays are empty where a network lacks the part.

    table, vectors : float32[n_items, d] inputs, and what queries are compared with
    types, gaps    : float32[3, d] and float32[GAP_BUCKETS, d]
    targets        : float32[3, d], or of one row of zeros
    scale          : length of a query, 0 where it keeps its own
    query, key     : float32[d, d] of copying;  distance : float32[D]
    """

    table: F32
    vectors: F32
    types: F32
    gaps: F32
    norm: Norm
    targets: F32
    widen: Layer
    narrow: Layer
    scale: float
    query: F32
    key: F32
    distance: F32


class Units(NamedTuple):
    """Gated recurrent units of one layer, as torch orders them: reset, update, new."""

    inputs: Layer
    hidden: Layer


class Block(NamedTuple):
    """A block of a transformer."""

    before_attention: Norm
    project: Layer
    merge: Layer
    before_layers: Norm
    widen: Layer
    narrow: Layer


class Pools(NamedTuple):
    """The session tower."""

    item: Layer
    distance: F32
    recency: F32
    widen: Layer
    narrow: Layer


class Sessions(NamedTuple):
    """Events on known items; types and stamps are empty where the shop has none."""

    offsets: I64
    aids: I32
    types: I8
    ts: I32


@vectorised
def multiply(x: F32, n: int, weight: F32, out: F32) -> None:
    """out[:n] += x[:n] @ weight, each row by itself."""
    inputs, outputs = weight.shape
    whole = inputs - inputs % 4
    for row in range(n):
        for i in range(0, whole, 4):
            one, two, three, four = x[row, i], x[row, i + 1], x[row, i + 2], x[row, i + 3]
            for j in range(outputs):
                out[row, j] += (
                    one * weight[i, j] + two * weight[i + 1, j] + three * weight[i + 2, j] + four * weight[i + 3, j]
                )
        for i in range(whole, inputs):
            one = x[row, i]
            for j in range(outputs):
                out[row, j] += one * weight[i, j]


@vectorised
def dot(a: F32, b: F32) -> np.float32:
    """Inner product in float32."""
    total = np.float32(0.0)
    for i in range(a.size):
        total += a[i] * b[i]
    return total


@inline
def apply(layer: Layer, x: F32, n: int, out: F32) -> None:
    """out[:n] = the layer's outputs of x[:n]."""
    for row in range(n):
        for j in range(layer.bias.size):
            out[row, j] = layer.bias[j]
    multiply(x, n, layer.weight, out)


@inline
def normalise(norm: Norm, x: F32, n: int, out: F32) -> None:
    """out[:n] = rows of x[:n] brought to mean 0 and deviation 1, then scaled and shifted."""
    dim = norm.weight.size
    for row in range(n):
        total, squares = np.float32(0.0), np.float32(0.0)
        for i in range(dim):
            total += x[row, i]
        mean = total / np.float32(dim)
        for i in range(dim):
            squares += (x[row, i] - mean) ** 2
        unit = np.float32(1.0) / np.float32(math.sqrt(squares / np.float32(dim) + EPSILON))
        for i in range(dim):
            out[row, i] = (x[row, i] - mean) * unit * norm.weight[i] + norm.bias[i]


@inline
def gelu(x: F32, n: int, width: int) -> None:
    """x Φ(x), in place."""
    half, root = np.float32(0.5), np.float32(1.0 / math.sqrt(2.0))
    for row in range(n):
        for i in range(width):
            x[row, i] = half * x[row, i] * (np.float32(1.0) + math.erf(x[row, i] * root))


@inline
def sigmoid(x: float) -> np.float32:
    """1 / (1 + e^-x)."""
    return np.float32(1.0) / (np.float32(1.0) + math.exp(-np.float32(x)))


@inline
def embed(net: Asking, log: Sessions, first: int, last: int, x: F32, gaps: I64) -> None:
    """The events ``first:last``: x[:n] = embeddings of items, types and gaps; and gap buckets."""
    dim = net.table.shape[1]
    for t in range(last - first):
        event = first + t
        gaps[t] = gap_bucket(log.ts[event] - log.ts[event - 1]) if log.ts.size > 0 and t > 0 else 0
        kind = log.types[event] if log.types.size > 0 else 0
        for i in range(dim):
            value = net.table[log.aids[event], i]
            if net.types.shape[0] > 0:
                value += net.types[kind, i]
            if net.gaps.shape[0] > 0:
                value += net.gaps[gaps[t], i]
            x[t, i] = value


@inline
def ask(net: Asking, state: F32, target: int, query: F32, asked: F32, inner: F32) -> None:
    """query[0] = what a state float32[1, d] asks of a target; ``asked`` and ``inner`` are to work in."""
    dim = state.shape[1]
    normalise(net.norm, state, 1, asked)
    for i in range(dim):
        asked[0, i] += net.targets[target, i]
    apply(net.widen, asked, 1, inner)
    gelu(inner, 1, net.widen.bias.size)
    apply(net.narrow, inner, 1, query)
    squares = np.float32(0.0)
    for i in range(dim):
        query[0, i] += state[0, i]
        squares += query[0, i] ** 2
    if net.scale > 0.0:
        unit = np.float32(net.scale) / max(np.float32(math.sqrt(squares)), np.float32(1e-12))
        for i in range(dim):
            query[0, i] *= unit


@inline
def copy(net: Asking, log: Sessions, first: int, last: int, query: F32, keys: F32, logits: F32, added: F32) -> None:
    """added[first:last] = ln(1 + Σ e^a / e^s) at the last event on each item: s its score, a over its places.

    query : float32[d];  keys : float32[n, d];  logits : float32[n] to work in
    """
    n, dim = last - first, query.size
    turned = np.zeros((1, dim), np.float32)
    multiply(query.reshape(1, dim), 1, net.query, turned)
    for t in range(n):
        back = min(n - 1 - t, net.distance.size - 1)
        logits[t] = dot(turned[0], keys[t]) / np.float32(math.sqrt(dim)) + net.distance[back]
    for t in range(n):
        aid = log.aids[first + t]
        added[first + t] = 0.0
        later = False
        for u in range(t + 1, n):
            later = later or log.aids[first + u] == aid
        if later:
            continue
        score = dot(query, net.vectors[aid])
        # ln(1 + e^m) with m = ln Σ e^(a - s): the largest is taken out, so that nothing overflows.
        most = 0.0
        for u in range(t + 1):
            if log.aids[first + u] == aid:
                most = max(most, np.float64(logits[u] - score))
        total = math.exp(-most)
        for u in range(t + 1):
            if log.aids[first + u] == aid:
                total += math.exp(np.float64(logits[u] - score) - most)
        added[first + t] = np.float32(most + math.log(total))


@inline
def answer(net: Asking, log: Sessions, first: int, last: int, s: int, states: F32, queries: F32, added: F32) -> None:
    """Queries float32[T, S, d] of session ``s`` and float32[T, N] of its events ``first:last``, from its states."""
    n, dim = last - first, states.shape[1]
    asked, query, inner = (
        np.empty((1, dim), np.float32),
        np.empty((1, dim), np.float32),
        np.empty((1, net.widen.bias.size), np.float32),
    )
    keys, logits = np.zeros((n, dim), np.float32), np.empty(n, np.float32)
    if added.shape[1] > 0:
        multiply(states, n, net.key, keys)
    for target in range(queries.shape[0]):
        ask(net, states[n - 1 : n], target, query, asked, inner)
        queries[target, s] = query[0]
        if added.shape[1] > 0:
            copy(net, log, first, last, query[0], keys, logits, added[target])


@kernel
def read_recurrent(
    net: Asking, units: tuple[Units, ...], leave: Layer, log: Sessions, length: int, start: int, stop: int,
    queries: F32, added: F32,
) -> None:  # fmt: skip
    """Sessions ``start:stop`` by gated recurrent units.

    length  : last events that are read
    queries : float32[T, S, d] of T targets; sessions without events stay as they are
    added   : float32[T, N], or [T, 0] without copying
    """
    dim, hidden = net.table.shape[1], leave.weight.shape[0]
    gaps = np.empty(length, np.int64)
    x, states = np.empty((length, max(dim, hidden)), np.float32), np.empty((length, dim), np.float32)
    through, before = np.empty((length, 3 * hidden), np.float32), np.empty((1, 3 * hidden), np.float32)
    held = np.empty((1, hidden), np.float32)
    for s in range(start, stop):
        first, last = max(log.offsets[s], log.offsets[s + 1] - length), log.offsets[s + 1]
        n = last - first
        if n == 0:
            continue
        embed(net, log, first, last, x, gaps)
        for layer in units:
            apply(layer.inputs, x, n, through)
            held[:] = 0.0
            for t in range(n):
                apply(layer.hidden, held, 1, before)
                for i in range(hidden):
                    reset = sigmoid(through[t, i] + before[0, i])
                    update = sigmoid(through[t, hidden + i] + before[0, hidden + i])
                    new = math.tanh(through[t, 2 * hidden + i] + reset * before[0, 2 * hidden + i])
                    held[0, i] = (np.float32(1.0) - update) * new + update * held[0, i]
                    x[t, i] = held[0, i]
        apply(leave, x, n, states)
        answer(net, log, first, last, s, states, queries, added)


@inline
def attend(parts: F32, n: int, heads: int, weights: F32, mixed: F32) -> None:
    """mixed[:n] = causal self-attention; float32[n, 3 d] ``parts`` hold queries, keys and values, head by head."""
    dim = mixed.shape[1]
    width = dim // heads
    unit = np.float32(1.0 / math.sqrt(width))
    for t in range(n):
        mixed[t] = 0.0
        for head in range(heads):
            at = head * width
            most = np.float32(-np.inf)
            for u in range(t + 1):
                weights[u] = dot(parts[t, at : at + width], parts[u, dim + at : dim + at + width]) * unit
                most = max(most, weights[u])
            total = np.float32(0.0)
            for u in range(t + 1):
                weights[u] = math.exp(weights[u] - most)
                total += weights[u]
            for u in range(t + 1):
                share = weights[u] / total
                for i in range(width):
                    mixed[t, at + i] += share * parts[u, 2 * dim + at + i]


@kernel
def read_transformer(
    net: Asking, positions: F32, blocks: tuple[Block, ...], norm: Norm, heads: int, log: Sessions, length: int,
    start: int, stop: int, queries: F32, added: F32,
) -> None:  # fmt: skip
    """Sessions ``start:stop`` by a causal transformer; see :func:`read_recurrent`."""
    dim = net.table.shape[1]
    gaps, weights = np.empty(length, np.int64), np.empty(length, np.float32)
    x, normed, mixed = (
        np.empty((length, dim), np.float32),
        np.empty((length, dim), np.float32),
        np.empty((length, dim), np.float32),
    )
    parts, inner = np.empty((length, 3 * dim), np.float32), np.empty((length, 4 * dim), np.float32)
    for s in range(start, stop):
        first, last = max(log.offsets[s], log.offsets[s + 1] - length), log.offsets[s + 1]
        n = last - first
        if n == 0:
            continue
        embed(net, log, first, last, x, gaps)
        x[:n] += positions[:n]
        for block in blocks:
            normalise(block.before_attention, x, n, normed)
            apply(block.project, normed, n, parts)
            attend(parts, n, heads, weights, mixed)
            apply(block.merge, mixed, n, normed)
            x[:n] += normed[:n]
            normalise(block.before_layers, x, n, normed)
            apply(block.widen, normed, n, inner)
            gelu(inner, n, 4 * dim)
            apply(block.narrow, inner, n, normed)
            x[:n] += normed[:n]
        normalise(norm, x, n, normed)
        answer(net, log, first, last, s, normed, queries, added)


@kernel
def read_pools(
    net: Asking, pools: Pools, log: Sessions, length: int, start: int, stop: int, queries: F32, added: F32
) -> None:
    """Sessions ``start:stop`` by weighted means of their items; see :func:`read_recurrent`. Never copies."""
    dim, n_pools = net.table.shape[1], pools.item.bias.size
    width = dim // n_pools
    gaps = np.empty(length, np.int64)
    x, weights = np.empty((length, dim), np.float32), np.empty((length, n_pools), np.float32)
    told, inner = np.empty((1, 2 * dim + 4), np.float32), np.empty((1, pools.widen.bias.size), np.float32)
    state, counts = np.empty((1, dim), np.float32), np.empty(4, np.int64)
    for s in range(start, stop):
        first, last = max(log.offsets[s], log.offsets[s + 1] - length), log.offsets[s + 1]
        n = last - first
        if n == 0:
            continue
        embed(net, log, first, last, x, gaps)
        apply(pools.item, x, n, weights)
        counts[:] = 0
        counts[0] = n
        since = np.int64(0)
        for t in range(n - 1, -1, -1):
            counts[1 + (log.types[first + t] if log.types.size > 0 else 0)] += 1
            age, apart = 0, since
            while apart > 1 and age < GAP_BUCKETS - 1:
                apart >>= 1
                age += 1
            since += np.int64(1) << gaps[t]
            for p in range(n_pools):
                weights[t, p] += pools.distance[min(n - 1 - t, pools.distance.shape[0] - 1), p] + pools.recency[age, p]
        told[:] = 0.0
        for p in range(n_pools):
            most, total = np.float32(-np.inf), np.float32(0.0)
            for t in range(n):
                most = max(most, weights[t, p])
            for t in range(n):
                weights[t, p] = math.exp(weights[t, p] - most)
                total += weights[t, p]
            for t in range(n):
                share = weights[t, p] / total
                for i in range(p * width, (p + 1) * width):
                    told[0, i] += share * x[t, i]
        told[0, dim : 2 * dim] = x[n - 1]
        for c in range(4):
            told[0, 2 * dim + c] = math.log1p(np.float32(counts[c]))
        apply(pools.widen, told, 1, inner)
        gelu(inner, 1, pools.widen.bias.size)
        apply(pools.narrow, inner, 1, state)
        for i in range(dim):
            state[0, i] += told[0, i]
        answer(net, log, last - 1, last, s, state, queries, added)
