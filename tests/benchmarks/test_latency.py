"""The benchmark of single recommendations makes its run, asks it, and its last line says what that cost."""

import json
from pathlib import Path

from benchmarks import latency

TINY = ("rankers.min_sessions=10", "rankers.lambdarank.max_trees=8", "threads=2")


def test_it_runs_small(tmp_path: Path, capsys) -> None:
    size = ["--items", "400", "--sessions", "2000", "--folder", str(tmp_path), "--asked", "10"]
    assert latency.main([*size, *(part for one in TINY for part in ("--set", one))]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["run"] == str(tmp_path / "shop")
    assert found["sessions"] == 10
    assert 50 < found["items"] <= 400
    for name in ("p50_ms", "p99_ms", "load_s", "explain_p50_ms", "explain_p99_ms", "batch_1000_s"):
        assert found[name] > 0
    assert found["p50_ms"] <= found["p99_ms"]


def test_a_run_that_is_none_is_one_line(tmp_path: Path, capsys) -> None:
    assert latency.main(["--run", str(tmp_path / "none")]) == 2
    assert "no such run" in capsys.readouterr().err
