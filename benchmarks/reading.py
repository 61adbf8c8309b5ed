"""OTTO's JSONL to Parquet, against Polars: ``python -m benchmarks.reading [--events 1e6] [--jsonl FILE]``.

Draws a shop and writes it as JSONL (or takes the file given), then reads it, from the page cache, with two threads:
cartograph's reader to ``log.parquet``; its parser alone; Polars' ``scan_ndjson`` to ``sink_parquet`` as it stands, and
with one row an event. The last line is one JSON object; ``gb_per_s`` are bytes of the source over wall seconds.
"""

import math
import os
import sys
import tempfile
from pathlib import Path

import polars as pl

from benchmarks.harness import Contender, Cost, events_parser, measure, show
from events.readers.otto import over_blocks, parse_block, read_otto
from events.shop.generate import generate
from events.shop.jsonl import write_jsonl
from events.shop.settings import ShopSettings

THREADS = 2
EVENTS_A_SESSION = 17
EVENT = pl.Struct({"aid": pl.Int64, "ts": pl.Int64, "type": pl.String})
SCHEMA = {"session": pl.Int64, "events": pl.List(EVENT)}

Paths = tuple[Path, Path]


def draw(folder: Path, events: int) -> Path:
    """The JSONL file of a shop with about this many train events."""
    sessions = max(math.ceil(events / EVENTS_A_SESSION), 1)
    generate(ShopSettings(train_sessions=sessions, test_sessions=0), folder)
    write_jsonl(folder / "train.parquet", folder / "train.jsonl")
    (folder / "train.parquet").unlink()
    return folder / "train.jsonl"


def warm(path: Path, out: Path) -> Paths:
    """Compile on a small file of the same form, and bring the file into the page cache."""
    small = out.with_suffix(".small.jsonl")
    with path.open("rb") as file:
        small.write_bytes(file.readline())
    read_otto(small, out, skip=False, threads=THREADS)
    small.unlink()
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass
    return path, out


def ours(paths: Paths) -> int:
    """The product's reader; events read."""
    return read_otto(*paths, skip=False, threads=THREADS).events


def parse_only(paths: Paths) -> int:
    """The product's parser; events parsed."""
    return sum(one.aids.size for one in over_blocks(paths[0], lambda block: parse_block(block, False), THREADS))


def polars_nested(paths: Paths) -> int:
    """Polars, one row a session as in the source."""
    pl.scan_ndjson(paths[0], schema=SCHEMA).sink_parquet(paths[1])
    return int(pl.scan_parquet(paths[1]).select(pl.col("events").list.len().sum()).collect().item())


def polars_events(paths: Paths) -> int:
    """Polars, one row an event as the product writes it."""
    pl.scan_ndjson(paths[0], schema=SCHEMA).explode("events").unnest("events").sink_parquet(paths[1])
    return int(pl.scan_parquet(paths[1]).select(pl.len()).collect().item())


CONTENDERS = {
    "cartograph": ours,
    "cartograph, parse only": parse_only,
    "polars, a row a session": polars_nested,
    "polars, a row an event": polars_events,
}


def main(argv: list[str] | None = None) -> int:
    """Measure each in a process of its own, check that they read the same events, print."""
    parser = events_parser("OTTO's JSONL to Parquet.", 1_000_000)
    parser.add_argument("--jsonl", type=Path, help="read this file instead of drawing a shop")
    arguments = parser.parse_args(argv)
    os.environ["POLARS_MAX_THREADS"] = str(THREADS)  # read by the contenders' processes
    costs: dict[str, Cost] = {}
    written: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.jsonl or draw(Path(folder), int(arguments.events))
        size = path.stat().st_size
        events = set()
        for name, work in CONTENDERS.items():
            out = Path(folder) / "out.parquet"
            costs[name], found = measure(Contender(warm, work, (path, out)))
            events.add(found)
            written[name] = out.stat().st_size / 1e9
            out.unlink()
    if len(events) != 1:
        raise ValueError(f"the readers disagree on the number of events: {sorted(events)}")
    rates = {name: round(size / 1e9 / cost.wall_s, 3) for name, cost in costs.items()}
    for name, rate in rates.items():
        print(f"{name}: {rate:.2f} GB/s")
    print(f"source {size / 1e9:.2f} GB, cartograph's Parquet {written['cartograph']:.2f} GB\n")
    own = costs.pop("cartograph")
    show("reading", events.pop(), own, costs, source_bytes=size, gb_per_s=rates)
    return 0


if __name__ == "__main__":
    sys.exit(main())
