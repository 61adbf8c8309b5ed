"""Losses of retrievers, one number a row: the caller weighs and averages rows.

M rows, K negatives a row, n items, vectors of d numbers. Scores may be of any floating type; below 32 bits they are
widened first. A negative that does not count (it is the row's own positive, say) is -inf: it adds nothing to the value,
to the gradient or to a mean's denominator. A row without any negative costs what the positive alone costs.
In the formulas p is the score of the positive, s_j that of the j-th negative, sigm(x) = 1 / (1 + e^-x).
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import embedding, logsigmoid, softplus

from models.log_sum_exp import log_sum_exp
from models.loss_settings import LossSettings, SampledLossName

SampledLoss = Callable[[Tensor, Tensor], Tensor]
"""(float[M] scores of the positives, float[M, K] scores of the negatives) -> float[M]."""


def sampled_softmax(positive: Tensor, negatives: Tensor) -> Tensor:
    """-ln(e^p / (e^p + Σ_j e^{s_j})): cross-entropy over the positive and the sampled items.

    With scores of negatives corrected by :func:`correct_logq` the sum below the line is an unbiased estimate of that
    over all items (Jean et al., On using very large target vocabulary, ACL 2015). Uncorrected, with the positives of
    the batch as negatives, it is the cross-entropy of GRU4Rec (Hidasi & Karatzoglou, CIKM 2018).
    """
    scores = torch.cat([_wide(positive)[:, None], _wide(negatives)], dim=1)
    return torch.logsumexp(scores, dim=1) - scores[:, 0]


def gbce(positive: Tensor, negatives: Tensor, sampling_rate: float, calibration: float = 0.75) -> Tensor:
    """-(β ln sigm(p) + Σ_j ln(1 - sigm(s_j))) / (K + 1), with β = a (t (1 - 1/a) + 1/a).

    a = ``sampling_rate`` = K / (n - 1), in (0, 1], and t = ``calibration``: t = 0 gives β = 1, plain cross-entropy;
    t = 1 gives β = a. Petrov & Macdonald, gSASRec: reducing overconfidence in sequential recommendation trained with
    negative sampling (RecSys 2023).
    """
    beta = sampling_rate * (calibration * (1.0 - 1.0 / sampling_rate) + 1.0 / sampling_rate)
    negatives = _wide(negatives)
    total = beta * softplus(-_wide(positive)) + softplus(negatives).sum(dim=1)
    return total / (_count(negatives) + 1)


def binary_cross_entropy(positive: Tensor, negatives: Tensor) -> Tensor:
    """-(ln sigm(p) + Σ_j ln(1 - sigm(s_j))) / (K + 1).

    Kang & McAuley, Self-attentive sequential recommendation (ICDM 2018), there with K = 1.
    """
    return gbce(positive, negatives, sampling_rate=1.0)


def bpr(positive: Tensor, negatives: Tensor) -> Tensor:
    """-(1/K) Σ_j ln sigm(p - s_j): the mean over pairs.

    Rendle et al., BPR: Bayesian personalized ranking from implicit feedback (UAI 2009), without its regularisation,
    which is the optimiser's weight decay here.
    """
    negatives = _wide(negatives)
    return softplus(negatives - _wide(positive)[:, None]).sum(dim=1) / _count(negatives).clamp(min=1)


def bpr_max(positive: Tensor, negatives: Tensor, regularisation: float = 1.0) -> Tensor:
    """-ln Σ_j w_j sigm(p - s_j) + λ Σ_j w_j s_j², with w the softmax of the negatives and λ = ``regularisation``.

    Hidasi & Karatzoglou, Recurrent neural networks with top-k gains for session-based recommendations (CIKM 2018).
    The first term is summed in logarithms, where the paper's code adds 1e-24 to the sum.
    """
    negatives = _wide(negatives)
    masked = torch.isneginf(negatives)
    none = masked.all(dim=1)
    # The softmax of nothing has no gradient: such rows get finite scores, and their loss is put to 0.
    log_weights = torch.log_softmax(torch.where(none[:, None], 0.0, negatives), dim=1)
    finite = torch.where(masked, 0.0, negatives)
    gains = torch.logsumexp(log_weights + logsigmoid(_wide(positive)[:, None] - finite), dim=1)
    squares = (log_weights.exp() * finite.square()).sum(dim=1)
    return torch.where(none, 0.0, regularisation * squares - gains)


LOSSES: dict[SampledLossName, Callable[..., Tensor]] = {
    "sampled_softmax": sampled_softmax,
    "gbce": gbce,
    "bpr": bpr,
    "bpr_max": bpr_max,
    "binary_cross_entropy": binary_cross_entropy,
}


def sampled_loss(settings: LossSettings, sampling_rate: float) -> SampledLoss:
    """The loss that the settings name, with their numbers filled in; the rate is that of :func:`gbce`.

    Raises
    ------
    ValueError
        If the loss is no sampled one.
    """
    if settings.name == "full_softmax":
        raise ValueError("the full softmax has no sampled negatives")
    options: dict[str, float] = {}
    if settings.name == "gbce":
        options = {"sampling_rate": sampling_rate, "calibration": settings.calibration}
    elif settings.name == "bpr_max":
        options = {"regularisation": settings.regularisation}
    loss: SampledLoss = partial(LOSSES[settings.name], **options)
    if settings.hardest is None:
        return loss
    k = settings.hardest
    return lambda positive, negatives: loss(positive, hardest(negatives, k))


def full_softmax(queries: Tensor, vectors: Tensor, positives: Tensor, chunk: int | None = None) -> Tensor:
    """float[M]: -ln(e^{q·v_p} / Σ_i e^{q·v_i}) over all n items, never holding scores [M, n].

    queries : float[M, d];  vectors : float[n, d];  positives : int64[M] rows of ``vectors``
    chunk   : rows whose scores are held at once
    """
    return log_sum_exp(queries, vectors, chunk=chunk) - (queries * embedding(positives, vectors)).sum(dim=1)


def shared_softmax(
    scores: Tensor, queries: Tensor, vectors: Tensor, log_q: Tensor | None, positives: Tensor, negatives: Tensor
) -> Tensor:
    """float[M]: :func:`sampled_softmax` where all rows share their K negatives, never holding scores [M, K].

    scores    : float[M] of the positives;  queries : float[M, d];  vectors : float[K, d] of the negatives
    log_q     : float[K] as in :func:`correct_logq`, or ``None``
    positives : int64[M], negatives : int64[K], the items; a row's own positive is no negative of it
    """
    others = log_sum_exp(queries, vectors, log_q, (positives, negatives))
    # A floor instead of -inf, where the positive is the only item: the gradient of ln(e^p + 0) would be no number.
    wide = _wide(scores)
    return torch.logaddexp(wide, others.clamp(min=-1e9)) - wide


def correct_logq(logits: Tensor, log_q: Tensor) -> Tensor:
    """Scores less the logarithm of how often each negative is to be expected among the K: float[M, K].

    log_q : float[K] or float[M, K], ln(K q_j) for K draws with probability q_j. The factor K matters: the positive is
            no draw and is left as it is. Bengio & Senécal (IEEE TNN 2008); for positives of the batch as negatives Yi
            et al., Sampling-bias-corrected neural modeling (RecSys 2019).
    """
    return logits - log_q


def mask_collisions(logits: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    """The scores float[M, K], with -inf where a negative is one of the row's own positives.

    positives : int64[M], or int64[M, P] if a row has several (-1 for none);  negatives : int64[K] or int64[M, K]
    """
    columns = positives[:, None] if positives.ndim == 1 else positives
    hit = columns[:, :1] == negatives
    for p in range(1, columns.shape[1]):
        hit = hit | (columns[:, p : p + 1] == negatives)
    return logits.masked_fill(hit, float("-inf"))


def hardest(negatives: Tensor, k: int) -> Tensor:
    """float[M, min(k, K)]: the highest scores of each row, in no order; the others get no gradient.

    As TRON (Wilm et al., Scaling session-based transformer recommendations using optimized negative sampling and loss
    functions, RecSys 2023), which samples many negatives and learns from the hardest 100.
    """
    if k >= negatives.shape[1]:
        return negatives
    return torch.topk(negatives, k, dim=1, sorted=False).values


def _wide(scores: Tensor) -> Tensor:
    return scores.to(torch.promote_types(scores.dtype, torch.float32))


def _count(negatives: Tensor) -> Tensor:
    """float[M] negatives that count."""
    return (~torch.isneginf(negatives)).sum(dim=1).to(negatives.dtype)
