"""The row-wise optimiser against a slow twin and against torch where the two must agree."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.optimizer_settings import RowAdamSettings
from models.row_optimizer import RowAdam

N, D = 9, 4
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


class SlowTwin:
    """Row by row in float64."""

    def __init__(self, table: np.ndarray, chosen: RowAdamSettings) -> None:
        self.table, self.chosen = table.astype(np.float64), chosen
        self.first, self.second, self.counts = np.zeros(table.shape), np.zeros(len(table)), np.zeros(len(table))

    def step(self, rows: np.ndarray, grads: np.ndarray, lr: float) -> None:
        for row, grad in zip(rows, grads.astype(np.float64), strict=True):
            self.counts[row] += 1
            if self.chosen.method == "adagrad":
                self.second[row] += (grad**2).mean()
                size = np.sqrt(self.second[row])
            else:
                beta2 = self.chosen.beta2
                self.second[row] = beta2 * self.second[row] + (1 - beta2) * (grad**2).mean()
                size = np.sqrt(self.second[row] / (1 - beta2 ** self.counts[row]))
            beta1 = self.chosen.beta1
            self.first[row] = beta1 * self.first[row] + (1 - beta1) * grad
            moved = self.first[row] / (1 - beta1 ** self.counts[row])
            self.table[row] *= 1 - lr * self.chosen.weight_decay
            self.table[row] -= lr * moved / (size + self.chosen.eps)


def _batches(seed: int, n_steps: int = 12) -> list[tuple[Tensor, Tensor]]:
    rng = np.random.default_rng(seed)
    steps = []
    for _ in range(n_steps):
        rows = np.sort(rng.choice(N, rng.integers(0, N + 1), replace=False))
        steps.append((torch.from_numpy(rows), torch.from_numpy(rng.normal(size=(rows.size, D)).astype(np.float32))))
    return steps


def _table() -> Tensor:
    return torch.randn(N, D, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("device", DEVICES)
@given(
    method=st.sampled_from(["adam", "adagrad"]),
    beta1=st.sampled_from([0.0, 0.9]),
    beta2=st.sampled_from([0.0, 0.9, 0.999]),
    decay=st.sampled_from([0.0, 0.1]),
    seed=st.integers(0, 100),
)
@settings(max_examples=50, deadline=None)
def test_steps_are_those_of_the_slow_twin(
    device: str, method: str, beta1: float, beta2: float, decay: float, seed: int
) -> None:
    chosen = RowAdamSettings.model_validate(
        {"method": method, "beta1": beta1, "beta2": beta2, "weight_decay": decay, "eps": 1e-6}
    )
    optimizer, twin = RowAdam(_table().to(device), chosen), SlowTwin(_table().numpy(), chosen)
    for number, (rows, grads) in enumerate(_batches(seed)):
        lr = 0.1 / (1 + number)
        optimizer.step(rows.to(device), grads.to(device), lr)
        twin.step(rows.numpy(), grads.numpy(), lr)
    np.testing.assert_allclose(optimizer.table.cpu().numpy(), twin.table, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("method", ["adam", "adagrad"])
def test_with_one_column_it_is_that_of_torch(method: str) -> None:
    start = torch.randn(N, 1, generator=torch.Generator().manual_seed(1))
    weight = torch.nn.Parameter(start.clone())
    plain: torch.optim.Optimizer
    if method == "adam":
        chosen = RowAdamSettings(beta1=0.9, weight_decay=0.1)
        plain = torch.optim.AdamW([weight], lr=0.05, weight_decay=0.1)
    else:
        chosen = RowAdamSettings(method="adagrad", eps=1e-10)
        plain = torch.optim.Adagrad([weight], lr=0.05)
    optimizer, rows = RowAdam(start.clone(), chosen), torch.arange(N)
    for step in range(30):
        grad = torch.randn(N, 1, generator=torch.Generator().manual_seed(step))
        weight.grad = grad
        plain.step()
        optimizer.step(rows, grad, 0.05)
    torch.testing.assert_close(optimizer.table, weight.detach(), rtol=1e-4, atol=1e-5)


def test_only_the_rows_of_a_step_change() -> None:
    optimizer = RowAdam(_table(), RowAdamSettings(weight_decay=0.5, beta1=0.9))
    rows = torch.tensor([2, 5])
    optimizer.step(rows, torch.ones(2, D), 0.1)
    changed = (optimizer.table != _table()).all(dim=1)
    assert changed.nonzero().squeeze(1).tolist() == rows.tolist()
    for moment in optimizer.state_dict().values():
        assert moment.reshape(N, -1).any(dim=1).nonzero().squeeze(1).tolist() == rows.tolist()


def test_gathered_rows_collect_a_gradient() -> None:
    optimizer = RowAdam(_table())
    leaf = optimizer.gather(torch.tensor([1, 3]))
    assert leaf.is_leaf
    torch.testing.assert_close(leaf.detach(), _table()[[1, 3]])
    (leaf[[0, 0, 1]] ** 2).sum().backward()
    assert leaf.grad is not None
    torch.testing.assert_close(leaf.grad, leaf.detach() * torch.tensor([[4.0], [2.0]]))
    assert not optimizer.table.requires_grad


@pytest.mark.parametrize("chosen", [RowAdamSettings(), RowAdamSettings(beta1=0.9), RowAdamSettings(method="adagrad")])
def test_state_goes_on_where_it_was(chosen: RowAdamSettings) -> None:
    steps = _batches(seed=4)
    whole = RowAdam(_table(), chosen)
    for rows, grads in steps:
        whole.step(rows, grads, 0.1)
    first = RowAdam(_table(), chosen)
    for rows, grads in steps[:5]:
        first.step(rows, grads, 0.1)
    second = RowAdam(first.table.clone(), chosen)
    second.load_state_dict({name: moment.clone() for name, moment in first.state_dict().items()})
    for rows, grads in steps[5:]:
        second.step(rows, grads, 0.1)
    assert torch.equal(second.table, whole.table)


def test_a_state_that_does_not_fit_is_refused() -> None:
    optimizer = RowAdam(_table())
    with pytest.raises(ValueError, match="instead of"):
        optimizer.load_state_dict(RowAdam(_table(), RowAdamSettings(beta1=0.9)).state_dict())
    with pytest.raises(ValueError, match="shape"):
        optimizer.load_state_dict(RowAdam(torch.zeros(3, D)).state_dict())
