"""A finished run on a tiny shop, made in this process, for tests of what opens one by its folder."""

from pathlib import Path

from scripts.all_stages import STAGES
from scripts.cli import open_run
from scripts.pipeline import run_stage

TINY = """
threads = 2

[data]
kind = "shop"

[shop]
train_sessions = 2000

[split]
transductive = true

[models]
defaults = false

[models.retrievers.svd]
kind = "svd"
k = 10
dim = 8

[rankers]
folds = 2
min_sessions = 10

[rankers.lambdarank]
max_trees = 12
"""

NEURAL = """
[models.retrievers.gru4rec]
kind = "gru4rec"
k = 10
dim = 8
hidden = 8
training = { epochs = 1, batch_tokens = 1024, threads = 1 }
"""


def make_run(folder: Path, text: str = TINY, until: str = "submit") -> Path:
    """Run every stage but ``evaluate``, up to one of them; the folder of the run."""
    config = folder / "tiny.toml"
    config.write_text(text)
    run = open_run(config, [f"runs={folder}"])
    for stage in STAGES:
        if stage.name == "evaluate":
            continue
        for pass_name in [name for name in stage.passes if run.has_pass(name)] or [""] * (not stage.passes):
            run_stage(stage, run, pass_name, say=lambda _: None)
        if stage.name == until:
            break
    return run.folder
