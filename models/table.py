"""The item table of a model and how it is trained: row by row, or whole with the rest of the model."""

from typing import Any

import torch
from torch import Tensor, nn

from models.optimizer_settings import RowAdamSettings
from models.parallel import average_gradients, gather_rows
from models.row_optimizer import RowAdam


class ItemTable:
    """float32[n, d] embeddings outside of autograd: a step gathers the rows it needs and updates just these.

    Dense Adam on such a table costs many times the rest of a step when items are many.
    """

    def __init__(self, weight: Tensor, settings: RowAdamSettings | None = None) -> None:
        self.weight = weight
        self.optimizer = RowAdam(weight, settings)
        self._rows: Tensor | None = None
        self._leaf: Tensor | None = None

    def lookup(self, ids: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The rows of these ids, float32[U, d] that collects a gradient, and each of ``ids`` as places in them."""
        flat = torch.cat([one.reshape(-1) for one in ids])
        rows, inverse = torch.unique(flat, return_inverse=True)
        self._rows, self._leaf = rows, self.optimizer.gather(rows)
        parts = torch.split(inverse, [one.numel() for one in ids])
        return self._leaf, [part.view(one.shape) for part, one in zip(parts, ids, strict=True)]

    @property
    def rows(self) -> Tensor:
        """int64[U] rows of the last lookup."""
        assert self._rows is not None
        return self._rows

    def step(self, rate: float) -> None:
        """Update the rows of the last lookup by their gradient, averaged over the processes of a run."""
        assert self._rows is not None
        assert self._leaf is not None
        assert self._leaf.grad is not None
        self.optimizer.step(*gather_rows(self._rows, self._leaf.grad), rate)
        self._rows = self._leaf = None

    def state(self) -> dict[str, Any]:
        """All that training goes on from."""
        return {"weight": self.weight, "optimizer": self.optimizer.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`."""
        self.weight.copy_(state["weight"])
        self.optimizer.load_state_dict(state["optimizer"])


class DenseTable(ItemTable):
    """The same, trained whole by Adam: where every step needs every row."""

    def __init__(self, weight: Tensor) -> None:
        self.parameter = nn.Parameter(weight)
        self.weight = self.parameter.data
        self.adam = torch.optim.Adam([self.parameter], betas=(0.9, 0.98))

    def lookup(self, ids: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The whole table, and the ids as they are."""
        return self.parameter, ids

    @property
    def rows(self) -> Tensor:
        """int64[n] all rows."""
        return torch.arange(len(self.weight), device=self.weight.device)

    def step(self, rate: float) -> None:
        """Update every row by its gradient, averaged over the processes of a run."""
        average_gradients([self.parameter])
        self.adam.param_groups[0]["lr"] = rate
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Any]:
        """All that training goes on from."""
        return {"weight": self.weight, "optimizer": self.adam.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`."""
        self.weight.copy_(state["weight"])
        self.adam.load_state_dict(state["optimizer"])
