"""Every command of the README works: the stages on a small shop, the make targets as far as a test can go."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def commands() -> list[str]:
    """Lines of the README's shell blocks, without their comments."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def run(words: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    return subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)


def python(line: str) -> list[str]:
    words = shlex.split(line)
    assert words[0] == ".venv/bin/python"
    return [sys.executable, *words[1:]]


def test_every_command_is_of_a_kind_that_is_tested_here():
    kinds = ("make ", ".venv/bin/python -m scripts.", "kaggle competitions ", "kaggle datasets ")
    assert [line for line in commands() if not line.startswith(kinds)] == []


def test_the_stages_in_the_order_of_the_readme_and_what_is_done_with_runs(tmp_path):
    lines = [line for line in commands() if "--config configs/shop.toml" in line]
    assert len(lines) >= 9
    runs = tmp_path / "runs"
    for line in lines:
        small = ["--set", f"runs={runs}", "--set", "shop.train_sessions=3000", "--set", "threads=2"]
        if "scripts.tune" in line:
            small += ["--trials", "2"]
        done = run(python(line) + small, ROOT)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert (runs / "shop" / "submission" / "submission.csv").exists()
    assert (runs / "shop" / "validation" / "scores.json").exists()
    assert (runs / "shop" / "tuning" / "clicks.toml").exists()
    assert (runs / "shop" / "explore.html").exists()
    shutil.copytree(runs / "shop", runs / "other")
    of_runs = [line for line in commands() if "runs/shop" in line and "--config" not in line]
    assert len(of_runs) >= 4
    for line in of_runs:
        done = run(python(line), tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert (tmp_path / "blend.csv").read_bytes() == (runs / "shop" / "submission" / "submission.csv").read_bytes()


def test_scoring_a_file(tmp_path):
    (line,) = [line for line in commands() if "scripts.score" in line]
    (tmp_path / "labels.jsonl").write_text('{"session": 1, "labels": {"clicks": 4, "carts": [4, 5]}}\n')
    (tmp_path / "submission.csv").write_text("session_type,labels\n1_clicks,4 6\n1_carts,5\n1_orders,7\n")
    done = run(python(line), tmp_path)
    assert done.returncode == 0, done.stderr
    scores = json.loads(done.stdout)
    assert (scores["clicks"], scores["carts"], scores["orders"]) == (1.0, 0.5, None)
    assert scores["total"] == pytest.approx((0.1 + 0.3 * 0.5) / 0.4)


def test_make_targets_come_down_to_the_stages():
    lines = [line for line in commands() if line.startswith("make ")]
    assert {"make run", "make test"} <= set(lines)
    for line in lines:
        done = run([*shlex.split(line), "--dry-run"], ROOT)
        assert done.returncode == 0, done.stderr
        if line.startswith("make run"):
            config = re.search(r"CONFIG=(\S+)", line)
            wanted = f"-m scripts.run --config {config.group(1) if config else 'configs/shop.toml'}"
            assert wanted in done.stdout
            assert (ROOT / (config.group(1) if config else "configs/shop.toml")).exists()
        if "SET=" in line:
            assert "--set sample.sessions=0.1" in done.stdout


def test_paths_that_the_readme_names_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"\]\(([^)]+)\)", text) + re.findall(r"`(configs/\S+?\.toml)`", text)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
