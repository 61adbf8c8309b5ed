"""The candidate beside what the session looked at: categories and brands, prices, ages."""

import math

import numpy as np

from events.arrays import F32, F64, I32, I64
from events.columns import DAY
from events.compiled import kernel
from features.affinity import recent_items
from features.history import recency_weight

CODES, PRICES = 4, 5
"""Features of a code, and of prices."""


@kernel
def weigh_codes(items: I32, n: int, codes: I32, oldest_exponent: float, found: I32, weights: F64) -> tuple[int, float]:
    """The different codes of n items, newest first, and each one's recency weights; their number and the sum.

    Items without a code count for nothing.
    """
    m, total = 0, 0.0
    for u in range(n):
        code = codes[items[u]] if 0 <= items[u] < codes.size else -1
        if code < 0:
            continue
        place = 0
        while place < m and found[place] != code:
            place += 1
        if place == m:
            found[m], weights[m] = code, 0.0
            m += 1
        weight = recency_weight(n - 1 - u, n, oldest_exponent)
        weights[place] += weight
        total += weight
    return m, total


@kernel
def entropy(weights: F64, m: int, total: float) -> float:
    """Of m weights, in nats; NaN if there are none."""
    if total <= 0.0:
        return np.nan
    found = 0.0
    for i in range(m):
        if weights[i] > 0.0:
            found -= weights[i] / total * math.log(weights[i] / total)
    return found


@kernel
def fill_codes(
    events: tuple[I64, I32], rows: tuple[I64, I32], codes: I32,
    start: int, stop: int, tail: int, oldest_exponent: float, out: F32, at: int,
) -> None:  # fmt: skip
    """Write for sessions ``start:stop``: whether the candidate has the code of the session's last item, the share of
    the session's items that have its code, how many codes the session has, and their entropy.

    events : offsets and items of the log;  rows : the same of the candidates;  codes : int32[n_items], -1 unknown
    """
    log_offsets, aids = events
    offsets, rows_aids = rows
    items, newest = np.empty(tail, np.int32), np.empty(tail, np.int64)
    found, weights = np.empty(tail, np.int32), np.empty(tail)
    for s in range(start, stop):
        n = recent_items(aids, log_offsets[s], log_offsets[s + 1], tail, items, newest)
        m, total = weigh_codes(items, n, codes, oldest_exponent, found, weights)
        last = codes[items[0]] if n > 0 and 0 <= items[0] < codes.size else -1
        spread = entropy(weights, m, total)
        for row in range(offsets[s], offsets[s + 1]):
            code = codes[rows_aids[row]] if 0 <= rows_aids[row] < codes.size else -1
            share = 0.0
            for i in range(m):
                if found[i] == code:
                    share = weights[i] / total
            out[row, at] = np.float32(code == last) if code >= 0 and last >= 0 else np.nan
            out[row, at + 1] = np.float32(share) if code >= 0 and total > 0.0 else np.nan
            out[row, at + 2] = m
            out[row, at + 3] = spread


@kernel
def fill_prices(
    events: tuple[I64, I32], rows: tuple[I64, I32], prices: F32,
    start: int, stop: int, tail: int, oldest_exponent: float, out: F32, at: int,
) -> None:  # fmt: skip
    """Write for sessions ``start:stop``: the candidate's price, the same less that of the session's last item with one,
    and less their mean weighted by recency, the log of its ratio to the mean, and the mean.

    prices : float32[n_items], NaN unknown, not negative
    """
    log_offsets, aids = events
    offsets, rows_aids = rows
    items, newest = np.empty(tail, np.int32), np.empty(tail, np.int64)
    for s in range(start, stop):
        n = recent_items(aids, log_offsets[s], log_offsets[s + 1], tail, items, newest)
        total, weight, last = 0.0, 0.0, np.nan
        for u in range(n):
            price = np.float64(prices[items[u]]) if 0 <= items[u] < prices.size else np.nan
            if math.isnan(price):
                continue
            if math.isnan(last):
                last = price
            recency = recency_weight(n - 1 - u, n, oldest_exponent)
            total += recency * price
            weight += recency
        mean = total / weight if weight > 0.0 else np.nan
        for row in range(offsets[s], offsets[s + 1]):
            price = np.float64(prices[rows_aids[row]]) if 0 <= rows_aids[row] < prices.size else np.nan
            out[row, at] = np.float32(price)
            out[row, at + 1] = np.float32(price - last)
            out[row, at + 2] = np.float32(price - mean)
            # A price of 0 has no ratio.
            out[row, at + 3] = np.float32(math.log(price / mean)) if price > 0.0 and mean > 0.0 else np.nan
            out[row, at + 4] = np.float32(mean)


@kernel
def fill_ages(
    events: tuple[I64, I32], rows: tuple[I64, I32], published: I64, never: int,
    start: int, stop: int, out: F32, at: int,
) -> None:  # fmt: skip
    """Write the days from the item's publication to the session's last event, 0 where it lies after that.

    events : offsets and times of the log;  published : int64[n_items] unix seconds, ``never`` where unknown
    """
    log_offsets, ts = events
    offsets, aids = rows
    for s in range(start, stop):
        begin, end = log_offsets[s], log_offsets[s + 1]
        for row in range(offsets[s], offsets[s + 1]):
            stamp = published[aids[row]] if 0 <= aids[row] < published.size else never
            if end == begin or stamp == never:
                out[row, at] = np.nan
            else:
                out[row, at] = np.float32(max(np.int64(ts[end - 1]) - stamp, 0) / DAY)


@kernel
def fill_users(sessions: I64, offsets: I64, values: F32, start: int, stop: int, out: F32, at: int) -> None:
    """Copy each session's row of ``values`` float32[S, F] into those of its candidates; NaN beyond the table."""
    for s in range(start, stop):
        user = sessions[s]
        known = 0 <= user < values.shape[0]
        for row in range(offsets[s], offsets[s + 1]):
            for j in range(values.shape[1]):
                out[row, at + j] = values[user, j] if known else np.nan
