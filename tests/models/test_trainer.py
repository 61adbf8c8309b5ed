"""The trainer: resuming after a kill, early stopping, bad losses, processes that agree, the rate of learning."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from events.errors import InputError
from events.log import SessionLog
from models.checkpoint import load_state, save_state
from models.gru4rec import GRU4Rec
from models.holdout import hold_out
from models.sasrec import SASRec
from models.trainer import _prefetch, learning_rate
from models.training_settings import GRU4RecSettings, SASRecSettings, TrainingSettings
from tests.models.test_sequence import quick
from tests.models.worlds import chain_log, noise_log


def settings(**training: Any) -> SASRecSettings:
    tree = quick(3)
    tree["training"] = tree["training"].model_copy(update={"epochs": 4, **training})
    return SASRecSettings(**tree)


class KilledError(Exception):
    pass


def test_a_killed_training_goes_on_along_the_same_losses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    log = chain_log(300, seed=5)
    whole = SASRec("a", settings(), work=tmp_path / "whole").fit(log)

    from models import trainer
    from models.sequence import NextItems

    monkeypatch.setattr(trainer, "CHECKED", 2)
    steps, before = 0, NextItems.loss

    def loss(self: NextItems, batch: Any, step: int) -> Any:
        nonlocal steps
        steps += 1
        if steps == 7:
            raise KilledError
        return before(self, batch, step)

    quickly = settings(checkpoint_minutes=1e-9)
    monkeypatch.setattr(NextItems, "loss", loss)
    with pytest.raises(KilledError):
        SASRec("a", quickly, work=tmp_path / "killed").fit(log)
    monkeypatch.setattr(NextItems, "loss", before)
    assert load_state(tmp_path / "killed")["place"][2] > 0
    resumed = SASRec("a", quickly, work=tmp_path / "killed").fit(log)
    assert [epoch.loss for epoch in resumed.history] == [epoch.loss for epoch in whole.history]
    assert [epoch.tokens for epoch in resumed.history] == [epoch.tokens for epoch in whole.history]
    np.testing.assert_array_equal(resumed.item_vectors(), whole.item_vectors())
    np.testing.assert_array_equal(resumed.session_vectors(log), whole.session_vectors(log))


def test_a_checkpoint_of_other_settings_is_not_gone_on_from(tmp_path: Path):
    log = chain_log(100, seed=5)
    SASRec("a", settings(epochs=1), work=tmp_path / "work").fit(log)
    other = SASRec("a", settings(epochs=1, learning_rate=1e-4), work=tmp_path / "work").fit(log)
    alone = SASRec("a", settings(epochs=1, learning_rate=1e-4)).fit(log)
    np.testing.assert_array_equal(other.item_vectors(), alone.item_vectors())


def test_the_full_softmax_resumes_too(tmp_path: Path):
    log = chain_log(100, seed=5)
    tree = {**quick(3), "loss": {"name": "full_softmax"}, "copying": True, "normalise": True}
    tree["training"] = tree["training"].model_copy(update={"epochs": 2})
    whole = GRU4Rec("g", GRU4RecSettings(**tree), work=tmp_path / "work").fit(log)
    again = GRU4Rec("g", GRU4RecSettings(**tree), work=tmp_path / "work").fit(log)
    assert [epoch.loss for epoch in again.history] == [epoch.loss for epoch in whole.history]
    np.testing.assert_array_equal(again.session_vectors(log), whole.session_vectors(log))


def test_noise_stops_early_and_the_best_epoch_stays():
    model = SASRec("a", settings(epochs=30, holdout=0.3, patience=2)).fit(noise_log(200, seed=6))
    recalls = [epoch.recall for epoch in model.history]
    assert len(recalls) < 30
    assert max(range(len(recalls)), key=lambda i: recalls[i] or 0.0) == len(recalls) - 3


def test_a_loss_that_is_no_number_is_a_clear_error():
    with pytest.raises(InputError, match=r"loss is no longer a number.*lower its training.learning_rate"):
        SASRec("a", settings(learning_rate=1e30, clip_norm=1e30)).fit(chain_log(300, seed=5))


def test_the_learning_rate_rises_and_falls():
    made = TrainingSettings(warmup=0.1, last_rate=0.02)
    rates = [learning_rate(made, done) for done in (0.0, 0.05, 0.1, 0.55, 1.0)]
    assert rates == pytest.approx([0.0, 0.5, 1.0, 0.51, 0.02])


def test_states_come_back_as_they_were(tmp_path: Path):
    state = {"a": torch.arange(3), "b": {"c": [1, torch.ones(2, 2), None]}, "ids": {0: torch.zeros(1), 1: "x"}}
    save_state(tmp_path / "state", state)
    back = load_state(tmp_path / "state")
    assert back["ids"][1] == "x"
    assert back["b"]["c"][0] == 1
    assert back["b"]["c"][2] is None
    assert torch.equal(back["b"]["c"][1], torch.ones(2, 2))
    assert torch.equal(back["ids"][0], torch.zeros(1))


def test_held_out_sessions_are_not_trained_on_and_end_before_their_labels():
    log = chain_log(100, seed=8)
    train, held_out = hold_out(log, 0.2, 50, seed=1)
    assert len(train) == 80
    assert held_out is not None
    assert held_out.log.sessions.tolist() == list(range(80, 100))
    assert (held_out.log.lengths < log.lengths[80:]).all()
    assert (held_out.log.lengths >= 1).all()
    assert hold_out(log, 0.0, 50, seed=1) == (log, None)


def test_groups_are_not_torn():
    log = chain_log(10, seed=8)
    torn = SessionLog(log.sessions, np.arange(10) // 4, log.offsets, log.aids, log.ts, log.types, log.n_items)
    assert len(hold_out(torn, 0.3, 50, seed=1)[0]) == 4


def test_what_the_batch_thread_raises_is_raised():
    def batches():
        yield 1
        raise ValueError("bad batch")

    made = _prefetch(batches())
    assert next(made) == 1
    with pytest.raises(ValueError, match="bad batch"):
        next(made)


def test_two_processes_of_torchrun_hold_the_same_replica(tmp_path: Path):
    root = Path(__file__).resolve().parents[2]
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-addr=127.0.0.1",
        "--master-port=0", "--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0",
        "-m", "tests.models.replica", str(tmp_path),
    ]  # fmt: skip
    environment = dict(os.environ, OMP_NUM_THREADS="1", PYTHONPATH=str(root))
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    digests = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert digests[0]["size"] == 2
    for key in ("items", "sessions"):
        assert digests[0][key] == digests[1][key]
    alone = GRU4Rec("g", GRU4RecSettings(**quick(3))).fit(chain_log(300, seed=5))
    # Between them they see all batches (but an odd one) once, in half the steps.
    seen = sum(digests[0]["tokens"]) + sum(digests[1]["tokens"])
    assert 0.7 <= seen / sum(epoch.tokens for epoch in alone.history) <= 1.0
    assert digests[0]["losses"][-1] < 0.9 * digests[0]["losses"][0]


def test_tensorboard_is_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match=r"TensorBoard is not installed.*extra `board`"):
        SASRec("a", settings(epochs=1, tensorboard=True), work=tmp_path / "work").fit(chain_log(50, seed=5))
