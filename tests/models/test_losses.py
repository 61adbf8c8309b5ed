"""Losses against their formulas in float64, their gradients, masks, and the full softmax by chunks."""

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor

from models import losses
from models.log_sum_exp import log_sum_exp
from models.loss_settings import LossSettings, SampledLossName

NAMES: tuple[SampledLossName, ...] = get_args(SampledLossName)
RATE = 0.05
SETTINGS = {name: LossSettings(name=name, calibration=0.6, regularisation=0.7) for name in NAMES}


def _sigm(x: float) -> float:
    return 1.0 / (1.0 + np.exp(-x))


def _softmax(s: np.ndarray) -> np.ndarray:
    return np.exp(s) / np.exp(s).sum()


def _gbce(p: float, s: np.ndarray, rate: float, t: float) -> float:
    beta = rate * (t * (1 - 1 / rate) + 1 / rate)
    return -(np.log(_sigm(p) ** beta) + np.log(1 - _sigm(s)).sum()) / (s.size + 1)


FORMULAS: dict[str, Callable[[float, np.ndarray], float]] = {
    "sampled_softmax": lambda p, s: -np.log(np.exp(p) / (np.exp(p) + np.exp(s).sum())),
    "gbce": lambda p, s: _gbce(p, s, RATE, 0.6),
    "binary_cross_entropy": lambda p, s: -(np.log(_sigm(p)) + np.log(1 - _sigm(s)).sum()) / (s.size + 1),
    "bpr": lambda p, s: -np.log(_sigm(p - s)).mean(),
    "bpr_max": lambda p, s: -np.log((_softmax(s) * _sigm(p - s)).sum()) + 0.7 * (_softmax(s) * s**2).sum(),
}
ALONE = {
    "sampled_softmax": lambda p: 0.0,
    "gbce": lambda p: -np.log(_sigm(p)) * (RATE * (0.6 * (1 - 1 / RATE) + 1 / RATE)),
    "binary_cross_entropy": lambda p: -np.log(_sigm(p)),
    "bpr": lambda p: 0.0,
    "bpr_max": lambda p: 0.0,
}


def _scores(m: int, k: int, seed: int) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return (
        2 * torch.randn(m, generator=rng, dtype=torch.float64),
        2 * torch.randn(m, k, generator=rng, dtype=torch.float64),
    )


def _loss(name: SampledLossName) -> losses.SampledLoss:
    return losses.sampled_loss(SETTINGS[name], RATE)


@pytest.mark.parametrize("name", NAMES)
@given(m=st.integers(1, 5), k=st.integers(1, 9), seed=st.integers(0, 1000), masks=st.integers(0, 2**32 - 1))
@hypothesis_settings(max_examples=50, deadline=None)
def test_a_loss_is_its_formula(name: SampledLossName, m: int, k: int, seed: int, masks: int) -> None:
    positive, negatives = _scores(m, k, seed)
    masked = torch.tensor([masks >> i % 32 & 1 == 1 for i in range(m * k)]).view(m, k)
    values = _loss(name)(positive, negatives.masked_fill(masked, -torch.inf)).numpy()
    for row in range(m):
        p, s = float(positive[row]), negatives[row][~masked[row]].numpy()
        expected = FORMULAS[name](p, s) if s.size else ALONE[name](p)
        np.testing.assert_allclose(values[row], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_a_loss(name: SampledLossName) -> None:
    positive, negatives = (scores.requires_grad_() for scores in _scores(4, 6, seed=5))
    masked = torch.zeros(4, 6, dtype=torch.bool)
    masked[1, ::2] = True
    masked[2] = True

    def value(p: Tensor, s: Tensor) -> Tensor:
        return _loss(name)(p, s.masked_fill(masked, -torch.inf))

    assert torch.autograd.gradcheck(value, (positive, negatives))
    value(positive, negatives).sum().backward()
    assert negatives.grad is not None
    assert positive.grad is not None
    assert not negatives.grad[masked].any()
    assert torch.isfinite(negatives.grad).all()
    assert torch.isfinite(positive.grad).all()


@pytest.mark.parametrize("name", NAMES)
def test_large_scores_do_not_overflow(name: SampledLossName) -> None:
    positive = torch.tensor([-300.0, 300.0, 0.0], requires_grad=True)
    negatives = torch.tensor([[300.0, -300.0]] * 3, requires_grad=True)
    values = _loss(name)(positive, negatives)
    values.sum().backward()
    for tensor in (values, positive.grad, negatives.grad):
        assert tensor is not None
        assert torch.isfinite(tensor).all()


@pytest.mark.parametrize("name", NAMES)
def test_half_scores_are_widened(name: SampledLossName) -> None:
    positive, negatives = (scores.bfloat16() for scores in _scores(3, 4, seed=2))
    values = _loss(name)(positive, negatives)
    assert values.dtype == torch.float32
    torch.testing.assert_close(values, _loss(name)(positive.float(), negatives.float()))


def test_every_loss_has_its_name() -> None:
    assert set(losses.LOSSES) == set(NAMES) == set(FORMULAS)
    with pytest.raises(ValueError, match="full softmax"):
        losses.sampled_loss(LossSettings(name="full_softmax"), RATE)


def _whole(queries: Tensor, vectors: Tensor, positives: Tensor) -> Tensor:
    return torch.nn.functional.cross_entropy(queries @ vectors.T, positives, reduction="none")


def _problem(m: int, n: int, d: int, seed: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    queries = torch.randn(m, d, generator=rng, dtype=dtype)
    vectors = torch.randn(n, d, generator=rng, dtype=dtype)
    return queries, vectors, torch.randint(n, (m,), generator=rng)


@given(m=st.integers(0, 9), n=st.integers(1, 12), chunk=st.integers(1, 11), seed=st.integers(0, 1000))
@hypothesis_settings(max_examples=50, deadline=None)
def test_chunks_make_the_whole(m: int, n: int, chunk: int, seed: int) -> None:
    queries, vectors, positives = _problem(m, n, 3, seed)
    weights = torch.linspace(0.5, 2, max(m, 1), dtype=torch.float64)[:m]
    results = []
    for function in (_whole, lambda q, v, p: losses.full_softmax(q, v, p, chunk)):
        q, v = queries.clone().requires_grad_(), vectors.clone().requires_grad_()
        values = function(q, v, positives)
        (values * weights).sum().backward()
        results.append((values.detach(), q.grad, v.grad))
    for plain, chunked in zip(*results, strict=True):
        torch.testing.assert_close(chunked, plain)


def test_gradients_of_the_full_softmax() -> None:
    queries, vectors, positives = _problem(5, 7, 3, seed=1)
    assert torch.autograd.gradcheck(
        lambda q, v: losses.full_softmax(q, v, positives, 2), (queries.requires_grad_(), vectors.requires_grad_())
    )


DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


@pytest.mark.parametrize("device", DEVICES)
def test_under_autocast_sums_stay_wide(device: str) -> None:
    queries, vectors, positives = (tensor.to(device) for tensor in _problem(64, 3000, 16, seed=1, dtype=torch.float32))
    grads = []
    for half in (False, True):
        q, v = queries.clone().requires_grad_(), vectors.clone().requires_grad_()
        with torch.autocast(device, torch.bfloat16, enabled=half):
            values = losses.full_softmax(q, v, positives, 10)
        values.mean().backward()
        assert values.dtype == torch.float32
        assert q.grad is not None
        assert v.grad is not None
        assert q.grad.dtype == v.grad.dtype == torch.float32
        grads.append((values.detach(), q.grad, v.grad))
    for exact, narrow in zip(*grads, strict=True):
        assert float((exact - narrow).norm() / exact.norm()) < 0.02


def test_corrected_samples_stand_for_all_items() -> None:
    """e^loss e^p is the sum below the line: its mean over draws is the sum over all items."""
    n, k, rounds = 200, 50, 4000
    queries, vectors, positives = _problem(1, n, 4, seed=3)
    logits = (queries @ vectors.T)[0]
    rng = np.random.default_rng(1)
    q = rng.dirichlet(np.ones(n)) * 0.5 + 0.5 / n
    drawn = torch.from_numpy(rng.choice(n, (rounds, k), p=q))
    log_q = torch.from_numpy(np.log(k * q))[drawn]
    corrected = losses.correct_logq(logits[drawn], log_q)
    masked = losses.mask_collisions(corrected, positives.expand(rounds), drawn)
    value = losses.sampled_softmax(logits[positives].expand(rounds), masked)
    sums = (value + logits[positives]).exp().numpy()
    error = sums.std() / np.sqrt(rounds)
    assert abs(sums.mean() - float(logits.exp().sum())) < 4 * error
    full = float(losses.full_softmax(queries, vectors, positives)[0])
    assert abs(float(value.mean()) - full) < 0.05
    plain = losses.sampled_softmax(logits[positives].expand(rounds), logits[drawn])
    assert abs(float(plain.mean()) - full) > 0.5


def test_collisions_with_any_positive_are_masked() -> None:
    logits = torch.zeros(2, 3)
    shared, own = torch.tensor([4, 5, 6]), torch.tensor([[4, 5, 6], [5, 5, 7]])
    for positives, negatives, expected in (
        (torch.tensor([5, 9]), shared, [[0, 1, 0], [0, 0, 0]]),
        (torch.tensor([5, 5]), own, [[0, 1, 0], [1, 1, 0]]),
        (torch.tensor([[5, 6], [4, -1]]), shared, [[0, 1, 1], [1, 0, 0]]),
    ):
        masked = losses.mask_collisions(logits, positives, negatives)
        assert torch.isneginf(masked).int().tolist() == expected
        assert not masked[~torch.isneginf(masked)].any()


@given(k=st.integers(1, 9), seed=st.integers(0, 1000))
@hypothesis_settings(max_examples=50, deadline=None)
def test_the_hardest_are_the_highest(k: int, seed: int) -> None:
    _, negatives = _scores(4, 7, seed)
    expected = np.sort(negatives.numpy(), axis=1)[:, ::-1][:, :k]
    np.testing.assert_array_equal(np.sort(losses.hardest(negatives, k).numpy(), axis=1)[:, ::-1], expected)


def test_all_hardest_are_all() -> None:
    positive, negatives = _scores(4, 7, seed=1)
    for name in NAMES:
        settings = SETTINGS[name]
        whole = losses.sampled_loss(settings, RATE)(positive, negatives)
        for k in (7, 100):
            some = losses.sampled_loss(settings.model_copy(update={"hardest": k}), RATE)(positive, negatives)
            torch.testing.assert_close(some, whole)
        best = losses.sampled_loss(settings.model_copy(update={"hardest": 2}), RATE)(positive, negatives)
        torch.testing.assert_close(best, losses.sampled_loss(settings, RATE)(positive, negatives.topk(2, dim=1).values))


def _shared(seed: int, m: int, k: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    queries, vectors = (torch.randn(n, 3, generator=generator, dtype=torch.float64) for n in (m, k))
    positives, negatives = (torch.randint(0, 6, (n,), generator=generator) for n in (m, k))
    scores, log_q = (torch.randn(n, generator=generator, dtype=torch.float64) for n in (m, k))
    return scores, queries, vectors, log_q, positives, negatives


@hypothesis_settings(max_examples=50, deadline=None)
@given(m=st.integers(1, 9), k=st.integers(1, 12), corrected=st.booleans(), seed=st.integers(0, 1000))
def test_shared_negatives_cost_what_the_sampled_softmax_says(m: int, k: int, corrected: bool, seed: int) -> None:
    found, expected = [], []
    for grads, shared in ((found, True), (expected, False)):
        scores, queries, vectors, log_q, positives, negatives = _shared(seed, m, k)
        leaves = [one.requires_grad_() for one in (scores, queries, vectors)]
        if shared:
            values = losses.shared_softmax(scores, queries, vectors, log_q if corrected else None, positives, negatives)
        else:
            against = queries @ vectors.T
            against = losses.correct_logq(against, log_q) if corrected else against
            values = losses.sampled_softmax(scores, losses.mask_collisions(against, positives, negatives))
        values.square().sum().backward()
        grads += [values.detach(), *(leaf.grad for leaf in leaves)]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_the_chunks_of_shared_negatives_make_the_whole() -> None:
    _, queries, vectors, log_q, positives, negatives = _shared(3, 7, 5)
    whole = log_sum_exp(queries, vectors, log_q, (positives, negatives))
    for chunk in (1, 3, 7, 20):
        torch.testing.assert_close(log_sum_exp(queries, vectors, log_q, (positives, negatives), chunk), whole)
    lone = log_sum_exp(queries, vectors, None, (torch.zeros_like(positives), torch.zeros_like(negatives)))
    assert torch.isneginf(lone).all()
