"""Matrix factorisation of ratings: r = mean + b_u + b_i + p_u·q_i, fitted by squared error.

Source: Koren, Bell, Volinsky: Matrix factorization techniques for recommender systems (IEEE Computer 2009).

An unseen user gets mean + b_i, an unseen item mean + b_u: factors and biases of what was not fitted are 0.

Differences to the paper: the learning rate decays; biases have a regularisation of their own; the number of epochs is
found on held-out ratings, then all are fitted anew; scores are clipped to the range of the ratings. For several
threads the ratings are cut into blocks of users times blocks of items, and only blocks that share neither run side by
side (Gemulla et al., Large-scale matrix factorization with distributed stochastic gradient descent, KDD 2011).
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import numpy as np
from tqdm import tqdm

from events.arrays import F32, F64, I32, I64
from events.compiled import kernel
from events.errors import InputError
from events.files import need_array, save_arrays
from models.factor_settings import MatrixFactorisationSettings
from models.pairs import Pairs

BLOCKS = 8
"""Blocks of users, and of items; their number, not that of the threads, decides the order of steps."""


class MatrixFactorisation:
    """Ratings of pairs of a user and an item.

    The kernel runs on ``threads`` threads; the result is the same for any number of them.
    """

    def __init__(
        self,
        name: str = "matrix_factorisation",
        settings: MatrixFactorisationSettings | None = None,
        threads: int = 1,
        progress: bool = False,
    ) -> None:
        self.name = name
        self.settings = settings or MatrixFactorisationSettings()
        self.epochs = 0
        """Epochs that were fitted."""
        self._threads, self._progress = threads, progress
        self._model = Factors.start(Pairs.of([], [], []), self.settings)

    def fit(self, pairs: Pairs) -> Self:
        """Find the number of epochs on held-out ratings, then fit all of them."""
        settings = self.settings
        self.epochs = settings.epochs
        if settings.held_out > 0:
            fitted, held_out = pairs.split(settings.held_out, settings.seed)
            if len(held_out) and len(fitted):
                self.epochs = self._best_epochs(fitted, held_out)
        self._model = Factors.start(pairs, settings)
        for epoch in tqdm(range(self.epochs), self.name, unit="epoch", disable=None if self._progress else True):
            self._model.run_epoch(pairs, epoch, settings, self._threads)
        return self

    def _best_epochs(self, fitted: Pairs, held_out: Pairs) -> int:
        settings = self.settings
        model, best, best_error = Factors.start(fitted, settings), 0, np.inf
        with tqdm(total=settings.epochs, desc=self.name, unit="epoch", disable=None if self._progress else True) as bar:
            for epoch in range(settings.epochs):
                model.run_epoch(fitted, epoch, settings, self._threads)
                error = root_mean_square(model.score(held_out.users, held_out.items) - held_out.targets)
                bar.set_postfix_str(f"held-out RMSE {error:.4f}")
                bar.update()
                if error < best_error:
                    best, best_error = epoch + 1, error
                elif epoch + 1 - best >= settings.patience:
                    break
        return best

    def score(self, users: I32, items: I32) -> F32:
        """float32[P] ratings of pairs; rows that were not fitted, -1 among them, are unseen."""
        return self._model.score(users, items)

    def save(self, folder: Path) -> None:
        """Write factors and biases."""
        model = self._model
        save_arrays(
            folder, users=model.users, items=model.items, user_biases=model.user_biases, item_biases=model.item_biases,
            mean_and_range=np.array([model.mean, model.low, model.high]), epochs=np.array(self.epochs),
        )  # fmt: skip

    def load(self, folder: Path) -> Self:
        """Open factors and biases.

        Raises
        ------
        InputError
            If a file is missing or its width is another than the settings'.
        """
        arrays = [need_array(folder, name) for name in ("users", "items", "user_biases", "item_biases")]
        if arrays[0].shape[1] != self.settings.dim:
            raise InputError(folder, None, f"factors of width {arrays[0].shape[1]}", "fit the model again")
        users, items, user_biases, item_biases = arrays
        mean, low, high = need_array(folder, "mean_and_range").tolist()
        self._model = Factors(users, items, user_biases, item_biases, mean, low, high)
        self.epochs = int(need_array(folder, "epochs"))
        return self


class Factors:
    """float32[n_users, d] and [n_items, d] factors, float32 biases, the mean of the ratings and their range."""

    def __init__(
        self, users: F32, items: F32, user_biases: F32, item_biases: F32, mean: float, low: float, high: float
    ) -> None:
        self.users, self.items, self.user_biases, self.item_biases = users, items, user_biases, item_biases
        self.mean, self.low, self.high = mean, low, high

    @classmethod
    def start(cls, pairs: Pairs, settings: MatrixFactorisationSettings) -> "Factors":
        """Random factors for the users and items of the pairs, 0 for others."""
        rng = np.random.default_rng(settings.seed)
        tables = []
        for rows, n in ((pairs.users, pairs.n_users), (pairs.items, pairs.n_items)):
            table = rng.standard_normal((n, settings.dim), np.float32) * np.float32(settings.initial)
            table[np.bincount(rows, minlength=n) == 0] = 0
            tables.append(table)
        values = pairs.targets.astype(np.float64) if len(pairs) else np.zeros(1)
        users, items = tables
        user_biases, item_biases = np.zeros(pairs.n_users, np.float32), np.zeros(pairs.n_items, np.float32)
        mean, low, high = float(values.mean()), float(values.min()), float(values.max())
        return cls(users, items, user_biases, item_biases, mean, low, high)

    def run_epoch(self, pairs: Pairs, epoch: int, settings: MatrixFactorisationSettings, threads: int) -> None:
        """One step for each rating, in an order drawn for this epoch."""
        rng = np.random.default_rng([settings.seed, epoch])
        order = rng.permutation(len(pairs))
        # Blocks that lie on one diagonal share neither users nor items.
        row = pairs.users[order] % BLOCKS
        diagonal = (pairs.items[order] - row) % BLOCKS
        block = rng.permutation(BLOCKS)[diagonal] * BLOCKS + row
        order = order[np.argsort(block, kind="stable")]
        bounds = np.concatenate([[0], np.cumsum(np.bincount(block, minlength=BLOCKS * BLOCKS))])
        rate = settings.learning_rate * settings.decay**epoch

        def work(block: int) -> None:
            descend(
                order[bounds[block] : bounds[block + 1]], pairs.users, pairs.items, pairs.targets, self.mean,
                self.users, self.items, self.user_biases, self.item_biases,
                rate, settings.regularization, settings.bias_regularization,
            )  # fmt: skip

        with ThreadPoolExecutor(threads) as pool:
            for first in range(0, BLOCKS * BLOCKS, BLOCKS):
                list(pool.map(work, range(first, first + BLOCKS)))

    def score(self, users: I32, items: I32) -> F32:
        """As :meth:`MatrixFactorisation.score`."""
        out = np.empty(users.size)
        rate_pairs(users, items, self.mean, self.users, self.items, self.user_biases, self.item_biases, out)
        return np.clip(out, self.low, self.high).astype(np.float32)


@kernel
def descend(
    order: I64, users: I32, items: I32, targets: F32, mean: float, user_factors: F32, item_factors: F32,
    user_biases: F32, item_biases: F32, rate: float, regularization: float, bias_regularization: float,
) -> None:  # fmt: skip
    """For each pair of ``order`` a step down e² / 2 + λ/2 (|p|² + |q|²) + λ_b/2 (b_u² + b_i²), e = score - target."""
    shrink, bias_shrink = np.float32(1 - rate * regularization), np.float32(1 - rate * bias_regularization)
    d = user_factors.shape[1]
    for pair in order:
        user, item = users[pair], items[pair]
        p, q = user_factors[user], item_factors[item]
        score = np.float32(mean) + user_biases[user] + item_biases[item]
        for f in range(d):
            score += p[f] * q[f]
        step = np.float32(rate) * (targets[pair] - score)
        user_biases[user] = bias_shrink * user_biases[user] + step
        item_biases[item] = bias_shrink * item_biases[item] + step
        for f in range(d):
            old = p[f]
            p[f] = shrink * old + step * q[f]
            q[f] = shrink * q[f] + step * old


@kernel
def rate_pairs(
    users: I32, items: I32, mean: float, user_factors: F32, item_factors: F32,
    user_biases: F32, item_biases: F32, out: F64,
) -> None:  # fmt: skip
    """Write mean + b_u + b_i + p_u·q_i; a row outside the tables counts as 0."""
    for pair in range(users.size):
        user, item = users[pair], items[pair]
        has_user, has_item = 0 <= user < user_biases.size, 0 <= item < item_biases.size
        score = mean
        if has_user:
            score += user_biases[user]
        if has_item:
            score += item_biases[item]
        if has_user and has_item:
            for f in range(user_factors.shape[1]):
                score += user_factors[user, f] * item_factors[item, f]
        out[pair] = score


def root_mean_square(errors: F32) -> float:
    """√ of the mean of the squares, in float64."""
    return float(np.sqrt(np.mean(np.square(errors.astype(np.float64)))))
