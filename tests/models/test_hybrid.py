"""The hybrid on plain CSV files: planted clicks are found, noise is not, what strangers get, files."""

from pathlib import Path

import numpy as np
import pytest

from events.errors import InputError
from events.settings import DataSettings
from models.factor_settings import HybridSettings
from models.hybrid import Hybrid
from models.pairs import Pairs, read_pairs
from models.training_settings import TrainingSettings

TRAINING = TrainingSettings(
    threads=1, epochs=15, batch_tokens=512, learning_rate=0.005, item_learning_rate=0.03, holdout=0.1
)
SMALL = HybridSettings(product=4, mlp=8, layers=(8,), dropout=0.0, initial=0.1, training=TRAINING)


def planted(folder: Path, noise: bool) -> Pairs:
    """A CSV of 100 users and 60 items, half of the table: target 1 where the signs of two hidden factors agree."""
    rng = np.random.default_rng(3)
    truth = rng.standard_normal((100, 1)) @ rng.standard_normal((1, 60)) > 0
    users, items = np.nonzero(rng.random(truth.shape) < 0.5)
    targets = rng.random(users.size) < 0.5 if noise else truth[users, items]
    lines = [f"{10 * u},{7 * i},{int(t)}" for u, i, t in zip(users, items, targets, strict=True)]
    (folder / "clicks.csv").write_text("userId,itemId,target\n" + "\n".join(lines) + "\n")
    return read_pairs(DataSettings(kind="targets", root=folder, train="clicks.csv")).pairs


def accuracy(model: Hybrid, pairs: Pairs) -> float:
    return float(((model.score(pairs.users, pairs.items) > 0.5) == (pairs.targets > 0.5)).mean())


def test_planted_clicks_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    fitted, asked = planted(tmp_path, noise=False).split(0.2, 1)
    model = Hybrid(settings=SMALL).fit(fitted)
    assert accuracy(model, asked) > 0.9
    shown = capsys.readouterr().out
    assert "held-out accuracy 0." in shown
    assert "samples/s" in shown

    model.save(tmp_path)
    loaded = Hybrid(settings=SMALL).load(tmp_path)
    np.testing.assert_array_equal(loaded.score(asked.users, asked.items), model.score(asked.users, asked.items))
    with pytest.raises(InputError, match="train the model again"):
        Hybrid().load(tmp_path)

    one = model.score(asked.users[5:6], asked.items[5:6])
    np.testing.assert_array_equal(one, model.score(asked.users, asked.items)[5:6])
    strangers = model.score(np.array([-1, 100, 7], np.int32), np.array([3, 3, -1], np.int32))
    assert strangers[0] == strangers[1]
    assert ((strangers > 0) & (strangers < 1)).all()


def test_noise_is_not_learnt(tmp_path: Path):
    fitted, asked = planted(tmp_path, noise=True).split(0.2, 1)
    model = Hybrid(settings=SMALL).fit(fitted)
    assert abs(accuracy(model, asked) - 0.5) < 0.07
    assert len(model.history) < TRAINING.epochs  # early stopping


def test_targets_outside_0_to_1_are_refused():
    for pairs in (Pairs.of([0], [0], [2.0]), Pairs.of([], [], [])):
        with pytest.raises(InputError, match="scale the targets"):
            Hybrid().fit(pairs)
