"""What the benchmarks share: each contender in a process of its own, measured alike, shown in one table.

A contender's set-up (reading inputs, compiling) is not measured; its work is: wall and CPU seconds of the process tree
and its peak memory (anonymous + shared, set-up included).
"""

import argparse
import json
import multiprocessing
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from os import cpu_count
from typing import Any

from scripts.resources import Meter
from submissions.report import table


@dataclass(frozen=True, slots=True)
class Cost:
    """Wall and CPU seconds, and peak memory in GiB."""

    wall_s: float
    cpu_s: float
    peak_gib: float


@dataclass(frozen=True, slots=True)
class Contender:
    """``work(set_up(*arguments))`` is what is compared; both must be functions of a module, for a new process."""

    set_up: Callable[..., Any]
    work: Callable[[Any], Any]
    arguments: tuple[Any, ...] = ()


def _child(contender: Contender, answer: Connection) -> None:
    inputs = contender.set_up(*contender.arguments)
    with Meter() as meter:
        result = contender.work(inputs)
    answer.send((Cost(round(meter.wall_s, 4), round(meter.cpu_s, 4), round(meter.peak_gib, 4)), result))
    answer.close()


def measure(contender: Contender) -> tuple[Cost, Any]:
    """Cost of a contender, and what its work returned (small and picklable).

    Raises
    ------
    RuntimeError
        If its process failed.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(contender, there))
    process.start()
    there.close()
    try:
        cost, result = here.recv()
    except EOFError:
        cost = None
    process.join()
    if cost is None or process.exitcode != 0:
        name = f"{contender.work.__module__}.{contender.work.__name__}"
        raise RuntimeError(f"{name} failed, exit code {process.exitcode}")
    return cost, result


def events_parser(description: str, events: int) -> argparse.ArgumentParser:
    """An argument parser with ``--events``, the size of the log."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--events", type=float, default=float(events), help="events of the log, such as 1e6")
    return made


def machine() -> str:
    """The machine in words."""
    return f"{cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def show(job: str, events: int, ours: Cost, baselines: Mapping[str, Cost], **more: Any) -> None:
    """Print the table with ratios to ours and, last, one JSON line."""
    rows = []
    for name, cost in {"cartograph": ours, **baselines}.items():
        ratios = (f"{cost.wall_s / max(ours.wall_s, 1e-9):.1f}", f"{cost.cpu_s / max(ours.cpu_s, 1e-9):.1f}")
        rows.append([name, f"{cost.wall_s:.2f}", f"{cost.cpu_s:.2f}", f"{cost.peak_gib:.2f}", *ratios])
    print(f"{job}, {events:,} events, {machine()}")
    print(table([job, "wall s", "CPU s", "peak GiB", "wall ratio", "CPU ratio"], rows))
    line = {"job": job, "events": events, "ours": asdict(ours)}
    line["baselines"] = {name: asdict(cost) for name, cost in baselines.items()}
    print(json.dumps(line | {"machine": machine()} | more))
