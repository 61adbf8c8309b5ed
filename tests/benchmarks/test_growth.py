import json
from pathlib import Path

from benchmarks import growth


def _line(job: str, events: int, wall: float) -> str:
    return json.dumps({"job": job, "events": events, "ours": {"wall_s": wall, "cpu_s": wall, "peak_gib": 1.0}})


def test_only_what_has_four_sizes_is_drawn(tmp_path: Path, capsys) -> None:
    assert growth.main(tmp_path) == 2
    lines = [_line("reading", 10**6 * k, 2.0 * k) for k in (1, 2, 3, 4)] + [_line("covisitation", 10**6, 1.0)]
    (tmp_path / "reading.txt").write_text("$ python -m benchmarks.reading\n" + "\n".join(lines) + "\n")
    for k in (1, 2, 3, 4):
        costs = [
            {"stage": stage, "pass": name, "wall_s": wall * k, "peak_gib": 0.5, "rows": 10**6 * k}
            for stage, name, wall in (("covisit", "validation", 1.0), ("covisit", "submission", 2.0), ("rank", "", 4.0))
        ]
        (tmp_path / f"rehearsal_{k}.json").write_text(json.dumps({"stages": costs}))
    capsys.readouterr()
    assert growth.main(tmp_path) == 0
    said = capsys.readouterr().out
    assert "reading, wall seconds a million events: 1 M: 2, 2 M: 2, 3 M: 2, 4 M: 2" in said
    assert "all stages, wall seconds a million events: 1 M: 7, 2 M: 7, 3 M: 7, 4 M: 7" in said
    assert "stage covisit" in said
    assert "covisitation" not in said
    assert (tmp_path / "growth.png").stat().st_size > 10_000
