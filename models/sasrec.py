"""SASRec: a causal transformer over the session's last events.

Kang & McAuley, Self-attentive sequential recommendation (ICDM 2018).

Differences to the paper: event types, time gaps and the target are inputs; layer normalisation before each block and
GELU; positions predict one of several later items of a target, not only the next item; the loss is a setting (the
sampled softmax by default, where the paper has binary cross-entropy with one negative); optionally cosine scores with a
learned temperature, and copying from the session. An item may be recommended again.
"""

import torch
from torch import Tensor, nn

from models.sequence import SequenceRetriever
from models.training_settings import SASRecSettings, SequenceSettings
from models.transformer import Block


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
