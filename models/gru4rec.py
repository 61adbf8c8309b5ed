"""GRU4Rec: a recurrent network over the session's last events.

Hidasi et al., Session-based recommendations with recurrent neural networks (ICLR 2016); Hidasi & Karatzoglou, Recurrent
neural networks with top-k gains for session-based recommendations (CIKM 2018).

Differences to the papers: event types, time gaps and the target are inputs; windows of sessions are padded, not run in
parallel with a carried state; positions predict one of several later items of a target; Adam in place of Adagrad; input
and output embeddings are one table; the loss is a setting (bpr_max is the paper's); optionally cosine scores with a
learned temperature, and copying from the session.
"""

from torch import Tensor, nn

from models.sequence import SequenceRetriever
from models.training_settings import GRU4RecSettings, SequenceSettings


class Recurrent(nn.Module):
    """The encoder: gated recurrent units, and a layer that leads back to the size of the item vectors."""

    def __init__(self, settings: SequenceSettings) -> None:
        super().__init__()
        assert isinstance(settings, GRU4RecSettings)
        between = settings.dropout if settings.layers > 1 else 0.0
        self.units = nn.GRU(settings.dim, settings.hidden, settings.layers, batch_first=True, dropout=between)
        self.dropout = nn.Dropout(settings.dropout)
        self.leave = nn.Linear(settings.hidden, settings.dim)

    def forward(self, embedded: Tensor, lengths: Tensor) -> Tensor:  # noqa: ARG002  (padding comes after the events)
        """float[B, L, d] to the same."""
        states, _ = self.units(embedded)
        left: Tensor = self.leave(self.dropout(states))
        return left


class GRU4Rec(SequenceRetriever):
    """The recurrent network as a retriever."""

    encoder = Recurrent
