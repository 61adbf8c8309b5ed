"""RecTools' SASRec: trained on the train sequences, it ranks all items for the prefixes, which are new users to it.

Settings: ``threads``, ``seed``; all others go to ``SASRecModel``. What is not named keeps its documented default (two
blocks of four heads, dropout .2, learning rate .001, batches of 128 sequences, a softmax over all items at each
place). Every sequence is padded to ``session_max_len``. With 37,000 items an epoch of that softmax takes 12 CPU
minutes, so RetailRocket goes with sampled negatives and five epochs, nine minutes; it has not converged then.
"""

import logging
from collections.abc import Callable
from typing import Any

import torch
from pytorch_lightning import seed_everything
from rectools.models import SASRecModel

from benchmarks.peers.exchange import I32, Rows, answer
from benchmarks.peers.rectools_data import datasets, lists_of


def sasrec(settings: dict[str, Any], threads: int, seed: int) -> SASRecModel:
    """A model that says nothing, and draws the same numbers in every run."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
    torch.set_num_threads(threads)
    seed_everything(seed)
    return SASRecModel(**settings)


def fit(rows: Rows, settings: dict[str, Any]) -> Callable[[], I32]:
    """Fit; what comes back makes the lists."""
    train, asked = datasets(rows)
    model = sasrec(settings, settings.pop("threads"), settings.pop("seed"))
    model.fit(train)

    return lambda: lists_of(model, asked, rows.n_test)


if __name__ == "__main__":
    answer(fit)
