"""Matrix factorisation: steps against numpy, thread counts, planted ratings, noise, MovieLens."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.errors import InputError
from events.settings import DataSettings
from models.factor_settings import MatrixFactorisationSettings
from models.matrix_factorisation import MatrixFactorisation, descend, root_mean_square
from models.pairs import Pairs, read_pairs


@settings(max_examples=50)
@given(seed=st.integers(0, 999), d=st.integers(1, 6))
def test_steps_go_down_the_gradient(seed: int, d: int):
    """The same steps in numpy, from the gradient of each rating's loss."""
    rng = np.random.default_rng(seed)
    users, items = (rng.integers(0, 4, 10).astype(np.int32) for _ in range(2))
    targets, order = rng.uniform(1, 5, 10).astype(np.float32), rng.permutation(10)
    p, q = (rng.standard_normal((4, d)).astype(np.float32) for _ in range(2))
    b, c = (rng.standard_normal(4).astype(np.float32) for _ in range(2))
    tables = [table.astype(np.float64) for table in (p, q, b, c)]
    descend(order, users, items, targets, 3.0, p, q, b, c, 0.05, 0.1, 0.2)
    for pair in order:
        u, i = users[pair], items[pair]
        pu, qi, bu, ci = (table[row].copy() for table, row in zip(tables, (u, i, u, i), strict=True))
        error = 3.0 + bu + ci + pu @ qi - targets[pair]
        for table, row, gradient in zip(
            tables, (u, i, u, i), (error * qi + 0.1 * pu, error * pu + 0.1 * qi, error + 0.2 * bu, error + 0.2 * ci),
            strict=True,
        ):  # fmt: skip
            table[row] = table[row] - 0.05 * gradient
    for found, expected in zip((p, q, b, c), tables, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def planted(noise: float, seed: int = 0) -> tuple[Pairs, Pairs]:
    """Ratings of 200 users and 100 items, biases and two factors, 30 % of the table: fitted and asked pairs."""
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal((200, 2)) @ rng.standard_normal((2, 100))
    truth += rng.standard_normal((200, 1)) + rng.standard_normal((1, 100)) + 3
    users, items = np.nonzero(rng.random(truth.shape) < 0.3)
    targets = truth[users, items] if noise == 0 else rng.standard_normal(users.size) * noise
    pairs = Pairs(users.astype(np.int32), items.astype(np.int32), targets.astype(np.float32), 200, 100)
    return pairs.split(0.1, seed)


SMALL = MatrixFactorisationSettings(dim=4, regularization=0.01, learning_rate=0.05)


def test_planted_factors_are_found_and_noise_is_not():
    fitted, asked = planted(0)
    model = MatrixFactorisation(settings=SMALL).fit(fitted)
    assert root_mean_square(model.score(asked.users, asked.items) - asked.targets) < 0.25 * asked.targets.std()
    fitted, asked = planted(1)
    model = MatrixFactorisation(settings=SMALL).fit(fitted)
    error = root_mean_square(model.score(asked.users, asked.items) - asked.targets)
    assert 0.95 * asked.targets.std() < error < 1.15 * asked.targets.std()
    assert model.epochs <= 3  # early stopping sees that nothing is learnt


def test_the_number_of_threads_changes_nothing():
    fitted, asked = planted(0)
    one, three = (MatrixFactorisation(settings=SMALL, threads=n).fit(fitted) for n in (1, 3))
    np.testing.assert_array_equal(one.score(asked.users, asked.items), three.score(asked.users, asked.items))


def test_unseen_users_and_items_get_what_is_known():
    fitted, _ = planted(0)
    model = MatrixFactorisation(settings=SMALL).fit(fitted)
    none = np.full(100, -1, np.int32)
    alone = model.score(none, np.arange(100, dtype=np.int32))
    mean = np.array([fitted.targets[fitted.items == i].mean() for i in range(100)])
    assert np.corrcoef(alone, mean)[0, 1] > 0.9
    assert model.score(none[:1], none[:1])[0] == pytest.approx(fitted.targets.mean(), abs=1e-5)
    np.testing.assert_array_equal(model.score(none + 201, none + 50), model.score(none, none + 50))


def test_save_and_load_change_nothing(tmp_path: Path):
    fitted, asked = planted(0)
    model = MatrixFactorisation(settings=SMALL).fit(fitted)
    model.save(tmp_path)
    loaded = MatrixFactorisation(settings=SMALL).load(tmp_path)
    assert loaded.epochs == model.epochs
    np.testing.assert_array_equal(loaded.score(asked.users, asked.items), model.score(asked.users, asked.items))
    with pytest.raises(InputError, match="fit the model again"):
        MatrixFactorisation().load(tmp_path)


def test_pairs_of_a_file(tmp_path: Path):
    (tmp_path / "ratings.csv").write_text("7,30,1,20\n5,10,2,9\n7,20,3,10\n")
    named = read_pairs(DataSettings(kind="ratings", root=tmp_path, train="ratings.csv", header=False, time_unit="s"))
    pairs = named.pairs
    assert (pairs.users.tolist(), pairs.items.tolist(), pairs.targets.tolist()) == ([0, 1, 1], [0, 1, 2], [2, 3, 1])
    assert named.users.take(pairs.users).to_list() == [5, 7, 7]
    assert named.items.take(pairs.items[pairs.last_of_users()]).to_list() == [10, 30]


def test_movielens(shared_data: Path):
    """RMSE below 0.93 on a random tenth."""
    data = DataSettings(
        kind="ratings", root=shared_data / "movielens_100k", train="u.data.gz", header=False, separator="\t",
        time_unit="s",
    )  # fmt: skip
    fitted, asked = read_pairs(data).pairs.split(0.1, 0)
    model = MatrixFactorisation(threads=2).fit(fitted)
    assert root_mean_square(model.score(asked.users, asked.items) - asked.targets) < 0.93
