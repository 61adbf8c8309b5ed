"""One block of a transformer, as SASRec and BERT4Rec stack them."""

from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """Self-attention and a two-layer network, each behind a layer normalisation and beside a residual connection."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.rate = heads, dropout
        self.before_attention, self.before_layers = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.project, self.merge = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.layers = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor, there: Tensor | None = None) -> Tensor:
        """float[B, L, d] to the same; a place attends to those ``there``, bool[B, 1, 1, L], or to itself and before."""
        b, length, dim = states.shape
        parts = self.project(self.before_attention(states)).view(b, length, 3, self.heads, dim // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        rate = self.rate if self.training else 0.0
        mixed = F.scaled_dot_product_attention(
            query, key, value, attn_mask=there, dropout_p=rate, is_causal=there is None
        )
        states = states + self.dropout(self.merge(mixed.transpose(1, 2).reshape(b, length, dim)))
        after: Tensor = states + self.dropout(self.layers(self.before_layers(states)))
        return after
