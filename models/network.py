"""What the sequence models share: how events are embedded, how a session asks for a target, how it copies."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.batches import GAP_BUCKETS
from models.training_settings import SequenceSettings

DISTANCES = 64
"""Places back in the session that copying tells apart; those beyond count as the last."""

SCALE = 12.0
"""First factor of the cosine (the inverse temperature)."""


class Queries(nn.Module):
    """Sessions asked for a target: a residual layer that reads the state of the session and the target together.

    So the target is an input of the session's encoder, and yet the session is read once for all three.
    """

    def __init__(self, dim: int, targets: bool) -> None:
        super().__init__()
        self.targets = nn.Embedding(3, dim) if targets else None
        self.norm = nn.LayerNorm(dim)
        self.widen = nn.Linear(dim, 2 * dim)
        self.narrow = nn.Linear(2 * dim, dim)

    def forward(self, states: Tensor, targets: Tensor) -> Tensor:
        """float[..., d] of states float[..., d] and targets int64[...]."""
        asked = self.norm(states)
        if self.targets is not None:
            asked = asked + self.targets(targets)
        after: Tensor = states + self.narrow(F.gelu(self.widen(asked)))
        return after


class Copying(nn.Module):
    """How much a place of the session itself is wanted again: attention of the query to earlier states.

    The mixture of item scores and places is that of CopyNet (Gu et al., ACL 2016): all compete in one softmax, and an
    item has the sum of its own share and those of its places.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.query = nn.Linear(dim, dim, bias=False)
        self.key = nn.Linear(dim, dim, bias=False)
        self.distance = nn.Embedding(DISTANCES, 1)
        nn.init.zeros_(self.distance.weight)

    def forward(self, queries: Tensor, states: Tensor, places: Tensor) -> Tensor:
        """Logits float[B, Q, L] of queries float[B, Q, d] at places int64[B, Q] to states float[B, L, d].

        Later places than the query's are -inf.
        """
        length = states.shape[1]
        logits = torch.bmm(self.query(queries), self.key(states).transpose(1, 2)) / math.sqrt(states.shape[2])
        back = places[:, :, None] - torch.arange(length, device=states.device)
        logits = logits.float() + self.distance(back.clamp(0, DISTANCES - 1)).squeeze(-1).float()
        masked: Tensor = logits.masked_fill(back < 0, -math.inf)
        return masked


class SessionNetwork(nn.Module):
    """Everything of a sequence model but its item table.

    encoder : module that turns events float[B, L, d] and lengths int64[B] into states float[B, L, d]; the state of an
              event sees no later event
    """

    def __init__(
        self, settings: SequenceSettings, encoder: Callable[[SequenceSettings], nn.Module], has: frozenset[str]
    ) -> None:
        super().__init__()
        dim = settings.dim
        self.types = nn.Embedding(3, dim) if settings.use_types and "types" in has else None
        self.gaps = nn.Embedding(GAP_BUCKETS, dim) if settings.use_gaps and "time" in has else None
        for embedding in (self.types, self.gaps):
            if embedding is not None:
                nn.init.normal_(embedding.weight, std=0.02)
        self.dropout = nn.Dropout(settings.embedding_dropout)
        self.encoder = encoder(settings)
        self.asking = Queries(dim, "types" in has)
        self.copying = Copying(dim) if settings.copying else None
        self.log_scale = nn.Parameter(torch.tensor(math.log(SCALE))) if settings.normalise else None

    def embed(self, embedded: Tensor, types: Tensor, gaps: Tensor) -> Tensor:
        """float[B, L, d] the encoder's input: item embeddings float[B, L, d] with types and gap buckets int64[B, L]."""
        if self.types is not None:
            embedded = embedded + self.types(types)
        if self.gaps is not None:
            embedded = embedded + self.gaps(gaps)
        dropped: Tensor = self.dropout(embedded)
        return dropped

    def states(self, embedded: Tensor, types: Tensor, gaps: Tensor, lengths: Tensor) -> Tensor:
        """float[B, L, d] of item embeddings float[B, L, d], types and gap buckets int64[B, L], lengths int64[B]."""
        states: Tensor = self.encoder(self.embed(embedded, types, gaps), lengths)
        return states

    def ask(self, states: Tensor, targets: Tensor) -> Tensor:
        """Queries float32[..., d]: their inner product with :meth:`items` is the score of an item."""
        queries: Tensor = self.asking(states, targets).float()
        if self.log_scale is not None:
            queries = F.normalize(queries, dim=-1) * self.log_scale.exp()
        return queries

    def items(self, rows: Tensor) -> Tensor:
        """float[U, d] that queries are compared with, of rows float[U, d] of the item table."""
        return F.normalize(rows, dim=-1) if self.log_scale is not None else rows
