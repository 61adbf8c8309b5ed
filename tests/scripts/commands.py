"""Running the stages' command lines as a user does, in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

SMALL = """
threads = 2

[data]
kind = "shop"

[shop]
train_sessions = 4000

[split]
transductive = true

[models]
defaults = false

[models.retrievers.svd]
kind = "svd"
dim = 16

[models.retrievers.gru4rec]
kind = "gru4rec"
k = 10
dim = 16
hidden = 16
training = { epochs = 1, batch_tokens = 1024, threads = 1 }

[candidates.rules]
parallel_from = 400

[rankers]
folds = 3

[rankers.lambdarank]
max_trees = 20
"""


def command(module: str, config: Path, runs: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", f"scripts.{module}", "--config", str(config), "--set", f"runs={runs}", *more]


def run(module: str, config: Path, runs: Path, *more: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(module, config, runs, *more), cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
    )


def start(module: str, config: Path, runs: Path, *more: str) -> subprocess.Popen[str]:
    """A process of its own session, so that its workers can be killed with it."""
    return subprocess.Popen(
        command(module, config, runs, *more),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=dict(os.environ),
        start_new_session=True,
    )
