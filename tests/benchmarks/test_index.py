"""The benchmark of the index runs at a small size and its last line says what it found."""

import json

import pytest

from benchmarks import index


def test_it_runs_small(capsys: pytest.CaptureFixture[str]) -> None:
    assert index.main(["--items", "2000", "--alone"]) == 0
    (found,) = json.loads(capsys.readouterr().out.splitlines()[-1])["found"]
    assert found["items"] == 2_000
    assert found["recall"] == 1.0
    assert found["single_p99_ms"] < 1_000
