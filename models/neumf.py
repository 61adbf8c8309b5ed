"""NeuMF: a weighed product of embeddings and a network that reads them, summed; scores pairs of session and item.

Source: He, Liao, Zhang, Nie, Hu, Chua: Neural collaborative filtering (WWW 2017). With ``mlp = 0`` it is their GMF,
with ``product = 0`` their MLP.

An unseen session is, by default, the mean of input embeddings of its last events (``users = "history"``); a session
without a known item is the vector 0, and its items are ranked alike for all of these. With ``users = "embedding"``,
the paper's, a fitted session is known by its row of the session index and an unseen one is the mean of all fitted.

Differences to the paper: users as means of their history, where history is what came before the item, so that new
sessions can be scored; the parts are trained together from the start, not each by itself; negatives are drawn anew in
each epoch from the items without an event in the session; embeddings are trained by row-wise Adam; dropout.
"""

from pathlib import Path
from typing import Self

import numpy as np
import torch

from events.arrays import F32, I32, I64, Flags
from events.files import need_array, save_arrays
from events.log import SessionLog
from models.factor_settings import NeuMFSettings
from models.pair_network import PairNetwork, load_network, save_network, score_pairs
from models.pair_task import NextItemAmongOthers
from models.session_items import fading, mean_sessions
from models.table import ItemTable
from models.trainer import Epoch, Trainer, pick_device


class NeuMF:
    """Scorer of pairs; one score for all targets; needs and uses neither time nor types."""

    def __init__(
        self, name: str = "neumf", settings: NeuMFSettings | None = None, threads: int = 0, work: Path | None = None
    ) -> None:
        """``threads`` of torch, 0 leaves them; ``work`` keeps the checkpoint of the training, ``None`` none."""
        self.name = name
        self.settings = settings or NeuMFSettings()
        self.needs: frozenset[str] = frozenset()
        self.history: list[Epoch] = []
        self._threads, self._work = self.settings.training.threads or threads, work
        self._width = self.settings.product + self.settings.mlp
        self._network = PairNetwork(self.settings, weighed=True)
        self._users = self._items = np.zeros((0, self._width), np.float32)
        self._sessions: I64 = np.zeros(0, np.int64)
        self._known: Flags = np.zeros(0, np.bool_)

    @property
    def known(self) -> Flags:
        """bool[n_items] items of the fitted sessions; others get scores without meaning."""
        return self._known

    def fit(self, log: SessionLog) -> Self:
        """Train on the sessions of a pass. Memory: 28 bytes an event, and 8 bytes a number of the embeddings."""
        settings, training = self.settings, self.settings.training
        log = log.slice(max(0, len(log) - (training.sessions or len(log))), len(log))
        self._known = np.zeros(log.n_items, np.bool_)
        self._known[log.aids] = True
        of_users = settings.users == "embedding"
        order = np.argsort(log.sessions, kind="stable")
        log = log.take(order) if of_users else log
        n_users = len(log) if of_users else log.n_items
        device = pick_device(training.device)
        with torch.random.fork_rng():
            torch.manual_seed(training.seed)
            self._network = PairNetwork(settings, weighed=True).to(device)
            weight = torch.randn(n_users + log.n_items, self._width) * settings.initial
        table = ItemTable(weight.to(device), training.item_optimizer)
        known = np.flatnonzero(self._known).astype(np.int32)
        fade = fading(settings.history, settings.half_life)
        task = NextItemAmongOthers(self.name, settings, self._network, table, log, known, fade, device)
        identity = [type(self).__name__, settings.model_dump(mode="json"), len(log), log.n_events, n_users]
        trainer = Trainer(self.name, training.model_copy(update={"threads": self._threads}), self._work, identity)
        self.history = trainer.run(task)
        self._network.cpu().eval()
        trained = table.weight.detach().cpu().numpy()
        self._users, self._items = trained[:n_users], trained[n_users:]
        self._sessions = log.sessions if of_users else np.zeros(0, np.int64)
        return self

    def score(self, log: SessionLog, offsets: I64, aids: I32) -> F32:
        """float32[R] logits of the candidates ``aids[offsets[s]:offsets[s+1]]`` of each session s."""
        rows = np.repeat(np.arange(len(log)), np.diff(offsets))
        return score_pairs(self._network, self._vectors(log), rows, self._items, aids.astype(np.int64))

    def _vectors(self, log: SessionLog) -> F32:
        """float32[S, d] embeddings of sessions."""
        if self.settings.users == "history":
            fade = fading(self.settings.history, self.settings.half_life)
            return mean_sessions(log, np.ones(log.n_events, np.float32), fade, self._known, self._users)
        place = np.minimum(np.searchsorted(self._sessions, log.sessions), self._sessions.size - 1)
        found = self._sessions[place] == log.sessions
        return np.where(found[:, None], self._users[place], self._users.mean(axis=0))

    def save(self, folder: Path) -> None:
        """Write the network and the embeddings."""
        save_network(folder, self._network, self._users, self._items)
        save_arrays(folder, known=self._known, sessions=self._sessions)

    def load(self, folder: Path) -> Self:
        """Open what :meth:`save` wrote.

        Raises
        ------
        InputError
            If a file is missing or was written with other settings.
        """
        self._users, self._items = load_network(folder, self._network, self._width)
        self._network.eval()
        self._known, self._sessions = need_array(folder, "known"), need_array(folder, "sessions")
        return self
