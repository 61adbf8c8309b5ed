"""The dot + MLP hybrid: a dot product of embeddings plus a network that reads both, on pairs with targets 0 to 1.

Source: the two views that Rendle, Krichene, Zhang, Anderson compare (Neural collaborative filtering vs. matrix
factorization revisited, RecSys 2020), added up; trained by binary cross-entropy. Reads files of the kind ``targets``
(``userId,itemId,target``) through ``models.pairs.read_pairs``.

An unseen user (or item) is the mean of all embeddings of fitted users (or items).

Differences to the paper: it compares the dot product with the network, here one logit is their sum; the product and
the network have embeddings of their own, which are trained by row-wise Adam; dropout.
"""

from pathlib import Path
from typing import Self

import numpy as np
import torch

from events.arrays import F32, I32
from events.errors import InputError
from models.factor_settings import HybridSettings
from models.pair_network import PairNetwork, load_network, save_network, score_pairs
from models.pair_task import TargetsOfPairs
from models.pairs import Pairs
from models.table import ItemTable
from models.trainer import Epoch, Trainer, pick_device


class Hybrid:
    """Probabilities of pairs of a user and an item."""

    def __init__(
        self, name: str = "hybrid", settings: HybridSettings | None = None, threads: int = 0, work: Path | None = None
    ) -> None:
        """``threads`` of torch, 0 leaves them; ``work`` keeps the checkpoint of the training, ``None`` none."""
        self.name = name
        self.settings = settings or HybridSettings()
        self.history: list[Epoch] = []
        self._threads, self._work = self.settings.training.threads or threads, work
        self._width = self.settings.product + self.settings.mlp
        self._network = PairNetwork(self.settings, weighed=False)
        self._users = self._items = np.zeros((1, self._width), np.float32)

    def fit(self, pairs: Pairs) -> Self:
        """Train on pairs; accuracy of those held out and samples/s are shown after each epoch.

        Raises
        ------
        InputError
            If there are no pairs, or a target lies outside 0 to 1.
        """
        if len(pairs) == 0 or pairs.targets.min() < 0 or pairs.targets.max() > 1:
            raise InputError("targets", None, "no pairs, or targets outside 0 to 1", "scale the targets to 0 to 1")
        training = self.settings.training
        device = pick_device(training.device)
        with torch.random.fork_rng():
            torch.manual_seed(training.seed)
            self._network = PairNetwork(self.settings, weighed=False).to(device)
            weight = torch.randn(pairs.n_users + pairs.n_items, self._width) * self.settings.initial
        table = ItemTable(weight.to(device), training.item_optimizer)
        task = TargetsOfPairs(self.name, self.settings, self._network, table, pairs, device)
        identity = [type(self).__name__, self.settings.model_dump(mode="json"), len(pairs), pairs.n_users]
        trainer = Trainer(self.name, training.model_copy(update={"threads": self._threads}), self._work, identity)
        self.history = trainer.run(task)
        self._network.cpu().eval()
        trained = table.weight.detach().cpu().numpy()
        self._users = _with_mean(trained[: pairs.n_users], pairs.users)
        self._items = _with_mean(trained[pairs.n_users :], pairs.items)
        return self

    def score(self, users: I32, items: I32) -> F32:
        """float32[P] probabilities of pairs; rows that were not fitted, -1 among them, are unseen."""
        rows = []
        for asked, table in ((users, self._users), (items, self._items)):
            last = table.shape[0] - 1
            rows.append(np.where((asked < 0) | (asked >= last), last, asked).astype(np.int64))
        logits = score_pairs(self._network, self._users, rows[0], self._items, rows[1])
        return (1 / (1 + np.exp(-logits.astype(np.float64)))).astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write the network and the embeddings."""
        save_network(folder, self._network, self._users, self._items)

    def load(self, folder: Path) -> Self:
        """Open what :meth:`save` wrote.

        Raises
        ------
        InputError
            If a file is missing or was written with other settings.
        """
        self._users, self._items = load_network(folder, self._network, self._width)
        self._network.eval()
        return self


def _with_mean(table: F32, rows: I32) -> F32:
    """The table, rows that were not fitted replaced by the mean of the others, and that mean as one more row."""
    fitted = np.bincount(rows, minlength=table.shape[0]) > 0
    mean = table[fitted].mean(axis=0)
    return np.concatenate([np.where(fitted[:, None], table, mean), mean[None]])
