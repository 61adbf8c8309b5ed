"""SASRec: a causal transformer over the session's last events.

Kang & McAuley, Self-attentive sequential recommendation (ICDM 2018).

Differences to the paper: event types, time gaps and the target are inputs; layer normalisation before each block and
GELU; positions predict one of several later items of a target, not only the next item; the loss is a setting (the
sampled softmax by default, where the paper has binary cross-entropy with one negative); optionally cosine scores with a
learned temperature, and copying from the session. An item may be recommended again.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.sequence import SequenceRetriever
from models.training_settings import SASRecSettings, SequenceSettings


class Block(nn.Module):
    """Self-attention and a two-layer network, each behind a layer normalisation and beside a residual connection."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.rate = heads, dropout
        self.before_attention, self.before_layers = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.project, self.merge = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.layers = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor) -> Tensor:
        """float[B, L, d] to the same; a place attends to itself and to earlier ones."""
        b, length, dim = states.shape
        parts = self.project(self.before_attention(states)).view(b, length, 3, self.heads, dim // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        rate = self.rate if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=rate, is_causal=True)
        states = states + self.dropout(self.merge(mixed.transpose(1, 2).reshape(b, length, dim)))
        after: Tensor = states + self.dropout(self.layers(self.before_layers(states)))
        return after


class CausalTransformer(nn.Module):
    """The encoder: positions, blocks, a last layer normalisation."""

    def __init__(self, settings: SequenceSettings) -> None:
        super().__init__()
        assert isinstance(settings, SASRecSettings)
        self.positions = nn.Embedding(settings.length, settings.dim)
        nn.init.normal_(self.positions.weight, std=0.02)
        blocks = [Block(settings.dim, settings.heads, settings.dropout) for _ in range(settings.layers)]
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(settings.dim)

    def forward(self, embedded: Tensor, lengths: Tensor) -> Tensor:  # noqa: ARG002  (later events are not seen anyway)
        """float[B, L, d] to the same."""
        states = embedded + self.positions(torch.arange(embedded.shape[1], device=embedded.device))
        for block in self.blocks:
            states = block(states)
        normed: Tensor = self.norm(states)
        return normed


class SASRec(SequenceRetriever):
    """The transformer as a retriever."""

    encoder = CausalTransformer
