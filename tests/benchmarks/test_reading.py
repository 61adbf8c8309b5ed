from pathlib import Path

import pytest

from benchmarks import reading


def test_all_contenders_read_the_same_events(tmp_path: Path) -> None:
    path = reading.draw(tmp_path, 2_000)
    expected = path.read_bytes().count(b'"aid"')
    assert expected == pytest.approx(2_000, rel=0.3)
    for name, work in reading.CONTENDERS.items():
        assert work(reading.warm(path, tmp_path / "out.parquet")) == expected, name
