"""The logarithm of a softmax's denominator over many items, without ever holding all scores.

The scores of some rows at a time are made, used while they are in the cache, and made again for the gradient: four
matrix products in place of three, and no pass over memory of size [M, n].
"""

from typing import Any

import torch
from torch import Tensor

SCORES_AT_ONCE = {"cpu": 1 << 19, "cuda": 1 << 26}
"""Scores that are held at a time: 2 MiB, for the second-level cache, on a CPU."""


def log_sum_exp(
    queries: Tensor,
    vectors: Tensor,
    shift: Tensor | None = None,
    barred: tuple[Tensor, Tensor] | None = None,
    chunk: int | None = None,
) -> Tensor:
    """float[M]: ln Σ_j e^{q·v_j - shift_j} of queries float[M, d] over vectors float[n, d].

    shift  : float[n], subtracted from the scores: ln of how often each of sampled items is to be expected
    barred : (int64[M], int64[n]): where the two are equal a score does not count; -inf where none is left
    chunk  : rows whose scores are held at once; left out, ``SCORES_AT_ONCE`` // n

    Under autocast the products are made in its type (bfloat16); sums are made in float32 (float64 for such input).
    """
    kind = queries.device.type
    product = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else queries.dtype
    rows = chunk or max(1, SCORES_AT_ONCE.get(kind, 1 << 24) // max(1, vectors.shape[0]))
    if barred is not None:
        barred = barred[0].int(), barred[1].int()  # half the bytes to compare
    result: Tensor = _LogSumExp.apply(queries, vectors, shift, barred, rows, product)  # type: ignore[no-untyped-call]
    return result


def _scores(q: Tensor, v: Tensor, part: slice, shift: Tensor | None, barred: Any, wide: torch.dtype) -> Tensor:
    scores = (q[part] @ v.T).to(wide)
    if shift is not None:
        scores.sub_(shift)
    if barred is not None:
        mine, theirs = barred
        scores.masked_fill_(mine[part, None] == theirs, float("-inf"))
    return scores


class _LogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, queries: Tensor, vectors: Tensor, shift: Tensor | None, barred: Any, chunk: int, product: torch.dtype
    ) -> Tensor:
        q, v = queries.to(product), vectors.to(product)
        wide = torch.promote_types(queries.dtype, torch.float32)
        sums = torch.empty(len(q), dtype=wide, device=q.device)
        with torch.autocast(q.device.type, enabled=False):
            for start in range(0, len(q), chunk):
                part = slice(start, start + chunk)
                scores = _scores(q, v, part, shift, barred, wide)
                most = scores.amax(dim=1, keepdim=True).clamp_(min=torch.finfo(wide).min)
                sums[part] = scores.sub_(most).exp_().sum(dim=1).log_().add_(most.squeeze(1))
        ctx.save_for_backward(q, v, sums)
        ctx.shift, ctx.barred, ctx.chunk, ctx.types = shift, barred, chunk, (queries.dtype, vectors.dtype)
        return sums

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None, None, None]:
        (grad,) = grads
        q, v, sums = ctx.saved_tensors
        to_q = torch.empty(q.shape, dtype=sums.dtype, device=q.device)
        to_v = torch.zeros(v.shape, dtype=sums.dtype, device=v.device)
        # Where no score is left, none gets a gradient.
        level = torch.where(torch.isneginf(sums), 0.0, sums)
        with torch.autocast(q.device.type, enabled=False):
            for start in range(0, len(q), ctx.chunk):
                part = slice(start, start + ctx.chunk)
                weights = _scores(q, v, part, ctx.shift, ctx.barred, sums.dtype)
                narrow = weights.sub_(level[part, None]).exp_().mul_(grad[part, None]).to(q.dtype)
                to_q[part] = (narrow @ v).to(sums.dtype)
                to_v += narrow.T @ q[part]
        return to_q.to(ctx.types[0]), to_v.to(ctx.types[1]), None, None, None, None
