"""Stage ``prepare``: raw files to the log, the indices and the two passes. Runs once a run."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet as pq

from events.passes import build_passes
from events.readers import read
from events.shop.generate import generate
from scripts.cli import stage_main
from scripts.pipeline import Run, Stage
from scripts.settings import Settings


def _settings(settings: Settings) -> Any:
    parts = ("seed", "data", "events", "split", "sample") + (("shop",) if settings.data.kind == "shop" else ())
    return settings.model_dump(mode="json", include=set(parts))


def _inputs(run: Run, _: str) -> list[Path]:
    data = run.settings.data
    if data.kind == "shop":
        return []
    names = [data.train, data.test, data.test_labels]
    paths = [Path(data.root) / name for name in names if name]
    cuts = run.settings.split.cuts
    return paths + ([Path(cuts)] if cuts else [])


def _read(run: Run, part: Literal["train", "test"], out: Path) -> dict[str, Any]:
    settings = run.settings
    report = read(settings.data, settings.events, part, out, settings.n_threads)
    print(f"  {part}: {report.sessions:,} sessions, {report.events:,} events")
    if report.skipped:
        print(f"  {part}: {report.skipped:,} bad lines skipped, such as {'; '.join(report.reasons)}")
    return asdict(report)


def _work(run: Run, _: str, folder: Path) -> dict[str, Any]:
    settings = run.settings
    data = settings.data
    train, test, labels = folder / "train.parquet", folder / "test.parquet", folder / "test_labels.parquet"
    figures: dict[str, Any] = {}
    if data.kind == "shop":
        generate(settings.shop, folder, threads=settings.n_threads)
    else:
        figures["train"] = _read(run, "train", train)
        if data.test:
            figures["test"] = _read(run, "test", test)
        labels = Path(data.root) / data.test_labels if data.test_labels else labels
    passes = build_passes(
        train,
        test if test.exists() else None,
        labels if labels.exists() else None,
        settings.split,
        settings.sample,
        settings.seed,
        folder,
    )
    rows = sum(pq.read_metadata(path).num_rows for path in (train, test) if path.exists())
    return figures | {"passes": passes, "rows": rows}


STAGE = Stage(
    name="prepare",
    passes=(),
    settings=_settings,
    inputs=_inputs,
    work=_work,
    floors=("events",),
)


def main(argv: list[str] | None = None) -> int:
    """Command line of the stage."""
    return stage_main(STAGE, "Read the raw log (or draw the synthetic shop), split it, and store both passes.", argv)


if __name__ == "__main__":
    sys.exit(main())
