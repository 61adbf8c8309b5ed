"""The softmax over items and places of the session together."""

import torch
from torch import Tensor


def copied_softmax(losses: Tensor, scores: Tensor, logits: Tensor, same: Tensor) -> Tensor:
    """float[M]: -ln of the share of the positive among all items and all places of the session.

    losses : float[M] -ln of its share among the items alone (a full or sampled softmax)
    scores : float[M] s of the positive
    logits : float[M, L] a of the session's places, -inf where there is none
    same   : bool[M, L] whether a place holds the positive

    With Z = ln Σ_items e^s the loss is ln(e^Z + Σ e^a) - ln(e^s + Σ_same e^a); Gu et al., CopyNet (ACL 2016).
    """
    total = losses + scores
    places = torch.logsumexp(logits, dim=1)
    # -1e9 in place of -inf: the gradient of a logarithm of nothing is no number.
    mine = torch.logsumexp(logits.masked_fill(~same, -1e9), dim=1)
    return torch.logaddexp(total, places) - torch.logaddexp(scores, mine)
