"""Factor models on MovieLens 100K: ``python -m benchmarks.movielens [--models neumf als] [--validation]``.

Ratings: RMSE on a random tenth, mean of 5 splits. Likes (4 and 5 of 5 stars) as a plain file ``userId,itemId,target``:
accuracy on a random tenth. Next item: the last of each user (by time, ties by place in the file) is held out, HR@10
among 99 items that the user never rated, and among all of these; a tie counts against the model, a held-out item
that nobody else rated is a miss. Means of 3 seeds of model and negatives. ``--validation`` holds out the second last
item instead (the tenth of the other nine), which is how settings were chosen. The last line is JSON.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.harness import machine
from events.arrays import F32, I32
from events.log import SessionLog
from events.settings import DataSettings
from models.als import Als
from models.bpr import Bpr
from models.factor_settings import AlsSettings, BprSettings, MatrixFactorisationSettings, NeuMFSettings
from models.hybrid import Hybrid
from models.matrix_factorisation import MatrixFactorisation, root_mean_square
from models.neumf import NeuMF
from models.pairs import Pairs, read_pairs
from models.retriever import PairScorer, Retriever
from models.training_settings import TrainingSettings
from submissions.report import table

ROOT = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "movielens_100k"
THREADS = 2
SPLITS, SEEDS = 5, 3
SAMPLED, TOP = 99, 10

NEUMF = NeuMFSettings(
    half_life=5,
    history=20,
    training=TrainingSettings(epochs=8, batch_tokens=4096, item_learning_rate=0.01, threads=1),
)
"""Batches are too small for a second thread to pay."""


ALS = AlsSettings(dim=48, sweeps=5, alpha=30, regularization=30, half_life=6)
BPR = BprSettings(epochs=10, learning_rate=0.1, half_life=5, context=30, negatives=2, negative_power=0)

PROTOCOLS = {
    "hr@10": f"sampled: the held-out item among {SAMPLED} that the user never rated, as in the NeuMF paper",
    "hr@10_full": "full: the held-out item among all that the user never rated",
}
"""A hit rate among sampled items is far above one among all, and may even rank models in another order."""

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    """What users have rated before their held-out item.

    visible : SessionLog of U users;  held_out : int32[U];  unrated : bool[U, n_items] items that the user never rates
    """

    visible: SessionLog
    held_out: I32
    unrated: np.ndarray

    @classmethod
    def of(cls, pairs: Pairs, validation: bool) -> "LeaveOneOut":
        """From pairs ordered by user and time; with ``validation`` the last of each user is forgotten first."""
        unrated = np.ones((pairs.n_users, pairs.n_items), np.bool_)
        unrated[pairs.users, pairs.items] = False
        for _ in range(2 if validation else 1):
            last = pairs.last_of_users()
            held_out = pairs.items[last]
            pairs = pairs.take(np.delete(np.arange(len(pairs)), last))
        users = np.arange(pairs.n_users)
        offsets = np.searchsorted(pairs.users, np.arange(pairs.n_users + 1)).astype(np.int64)
        visible = SessionLog(users, users, offsets, pairs.items, None, None, pairs.n_items)
        return cls(visible, held_out, unrated)

    def hit_rates(self, scores: F32, known: np.ndarray, seed: int) -> tuple[float, float]:
        """HR@10 among the held-out item and 99 others, and among all items that the user has not rated before.

        scores : float32[U, n_items];  known : bool[n_items] items that can be found
        """
        rng = np.random.default_rng(seed)
        sampled, full = [], []
        for user, held_out in enumerate(self.held_out):
            own = scores[user, held_out] if known[held_out] else np.inf
            others = np.flatnonzero(self.unrated[user] & known)
            drawn = rng.choice(others, SAMPLED, replace=False)
            missed = not known[held_out]
            sampled.append(not missed and (scores[user, drawn] >= own).sum() < TOP)
            rated = self.visible.aids[self.visible.offsets[user] : self.visible.offsets[user + 1]]
            there = known.copy()
            there[rated] = there[held_out] = False
            full.append(not missed and (scores[user, there] >= own).sum() < TOP)
        return float(np.mean(sampled)), float(np.mean(full))


def score_all(model: PairScorer, log: SessionLog) -> F32:
    """float32[S, n_items] scores of a pair scorer."""
    offsets = np.arange(len(log) + 1, dtype=np.int64) * log.n_items
    items = np.tile(np.arange(log.n_items, dtype=np.int32), len(log))
    return model.score(log, offsets, items).reshape(len(log), -1)


def find_next(make: Callable[[int], Retriever | NeuMF], pairs: Pairs, validation: bool) -> Figures:
    """Leave one out, for each seed."""
    asked = LeaveOneOut.of(pairs, validation)
    rates, seconds = [], []
    for seed in range(SEEDS):
        started = time.process_time()
        model = make(seed).fit(asked.visible)
        seconds.append(time.process_time() - started)
        if isinstance(model, NeuMF):
            scores = score_all(model, asked.visible)
        else:
            scores = model.session_vectors(asked.visible) @ model.item_vectors().T
        rates.append(asked.hit_rates(scores, model.known, seed))
    sampled, full = np.mean(rates, axis=0).tolist()
    return {"hr@10": sampled, "hr@10_full": full, "fit_cpu_s": float(np.mean(seconds))}


def popularity(pairs: Pairs, validation: bool) -> Figures:
    """The number of ratings, for comparison."""
    asked = LeaveOneOut.of(pairs, validation)
    counts = np.bincount(asked.visible.aids, minlength=pairs.n_items).astype(np.float32)
    scores = np.tile(counts, (pairs.n_users, 1))
    rates = [asked.hit_rates(scores, counts > 0, seed) for seed in range(SEEDS)]
    sampled, full = np.mean(rates, axis=0).tolist()
    return {"hr@10": sampled, "hr@10_full": full, "fit_cpu_s": 0.0}


def rate(pairs: Pairs, validation: bool) -> Figures:
    """RMSE of matrix factorisation."""
    errors, seconds = [], []
    for seed in range(SPLITS):
        fitted, asked = _tenth(pairs, seed, validation)
        started = time.process_time()
        model = MatrixFactorisation(settings=MatrixFactorisationSettings(seed=seed), threads=THREADS).fit(fitted)
        seconds.append(time.process_time() - started)
        errors.append(root_mean_square(model.score(asked.users, asked.items) - asked.targets))
    figures = {"rmse": np.mean(errors), "rmse_min": min(errors), "rmse_max": max(errors)}
    return {name: float(value) for name, value in figures.items()} | {"fit_cpu_s": float(np.mean(seconds))}


def like(pairs: Pairs, validation: bool) -> Figures:
    """Accuracy of the hybrid on likes, read from a plain file."""
    fitted, asked = _tenth(pairs, 0, validation)
    with tempfile.TemporaryDirectory() as folder:
        lines = zip(fitted.users, fitted.items, (fitted.targets >= 4).astype(int), strict=True)
        text = "userId,itemId,target\n" + "".join(f"{user},{item},{target}\n" for user, item, target in lines)
        (Path(folder) / "likes.csv").write_text(text)
        named = read_pairs(DataSettings(kind="targets", root=Path(folder), train="likes.csv"))
    started = time.process_time()
    model = Hybrid(threads=1).fit(named.pairs)
    seconds = time.process_time() - started
    rows = [np.full(size, -1, np.int32) for size in (pairs.n_users, pairs.n_items)]
    for row, index in zip(rows, (named.users, named.items), strict=True):
        row[index.ids.to_numpy()] = np.arange(len(index))
    likes = model.score(rows[0][asked.users], rows[1][asked.items]) > 0.5
    return {"accuracy": float((likes == (asked.targets >= 4)).mean()), "fit_cpu_s": seconds}


def _tenth(pairs: Pairs, seed: int, validation: bool) -> tuple[Pairs, Pairs]:
    fitted, asked = pairs.split(0.1, seed)
    return fitted.split(0.1, seed + 100) if validation else (fitted, asked)


def _neumf(**parts: int) -> Callable[[int], NeuMF]:
    def make(seed: int) -> NeuMF:
        training = NEUMF.training.model_copy(update={"seed": seed})
        return NeuMF(settings=NEUMF.model_copy(update=parts | {"training": training}))

    return make


JOBS: dict[str, Callable[[Pairs, bool], Figures]] = {
    "matrix_factorisation": rate,
    "hybrid": like,
    "popularity": popularity,
    "als": lambda pairs, validation: find_next(
        lambda seed: Als(settings=ALS.model_copy(update={"seed": seed}), threads=THREADS), pairs, validation
    ),
    "bpr": lambda pairs, validation: find_next(
        lambda seed: Bpr(settings=BPR.model_copy(update={"seed": seed}), threads=THREADS), pairs, validation
    ),
    "gmf": lambda pairs, validation: find_next(_neumf(mlp=0), pairs, validation),
    "mlp": lambda pairs, validation: find_next(_neumf(product=0), pairs, validation),
    "neumf": lambda pairs, validation: find_next(_neumf(), pairs, validation),
}


def movielens_pairs() -> Pairs:
    """Ratings of MovieLens 100K by user, time and place in the file."""
    data = DataSettings(kind="ratings", root=ROOT, train="u.data.gz", header=False, separator="\t", time_unit="s")
    return read_pairs(data).pairs


def run(models: Sequence[str] | None = None, validation: bool = False) -> dict[str, Figures]:
    """Figures of these models, or of all: "rmse", "accuracy" or "hr@10" and "hr@10_full", and "fit_cpu_s"."""
    pairs = movielens_pairs()
    return {name: JOBS[name](pairs, validation) for name in models or JOBS}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=list(JOBS), help="only these")
    parser.add_argument("--validation", action="store_true", help="hold out what settings may be chosen on")
    arguments = parser.parse_args()
    found = run(arguments.models, arguments.validation)
    print(f"MovieLens 100K{', validation' if arguments.validation else ''}, {machine()}")
    titles = {
        "rmse": "rmse", "accuracy": "accuracy", "hr@10": "hr@10, 99 sampled", "hr@10_full": "hr@10, all items",
        "fit_cpu_s": "fit_cpu_s",
    }  # fmt: skip
    columns = list(titles)
    cells = {name: [f"{row[key]:.4f}" if key in row else "" for key in columns[:-1]] for name, row in found.items()}
    print(
        table(["model", *titles.values()], [[name, *cells[name], f"{found[name]['fit_cpu_s']:.1f}"] for name in found])
    )
    print(json.dumps({"data": "movielens", "models": found, "protocols": PROTOCOLS, "machine": machine()}))


if __name__ == "__main__":
    main()
