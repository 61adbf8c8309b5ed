"""Whether this machine, its packages and the data of a config are fit for a run, and what to do where they are not.

python -m scripts.doctor [--config configs/shop.toml]: a line a check; exit code 1 if something must be mended.

Until the packages have been looked at, only Python's own are imported: it is to speak where others cannot start.
"""

import argparse
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from events.errors import InputError

if TYPE_CHECKING:
    from scripts.settings import Settings

ROOT: Final = Path(__file__).resolve().parent.parent
LEAST_PYTHON: Final = (3, 11)
LEAST_GIB: Final = 1.5
GIB_OF_A_RUN: Final = 6.0
"""What the default shop and the full OTTO data take on top, at their default settings; a part of the data less."""
SHOP_SESSIONS: Final = 300_000
"""From here on the memory no longer grows: sampling of the training rows bounds it."""
LEAST_GB: Final = 3.0
GB_OF_A_SESSION: Final = 1e-6
"""Of disk; files of the user's take about as much again as they have."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was found, and what to do about it, ``None`` where all is well."""

    what: str
    found: str
    remedy: str | None = None


def check_python() -> Finding:
    """Whether this Python is new enough."""
    found = platform.python_version()
    if sys.version_info < LEAST_PYTHON:
        return Finding("Python", found, f"install Python {'.'.join(map(str, LEAST_PYTHON))} and make setup anew")
    return Finding("Python", found)


def check_packages(lock: Path = ROOT / "requirements.lock") -> Finding:
    """Whether the packages are those of the lock file."""
    if not lock.exists():
        return Finding("packages", f"{lock} is not there", "get the whole project again")
    wanted = dict(re.findall(r"^([\w.\-]+)==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE))
    wrong = []
    for name, release in wanted.items():
        try:
            there = version(name).partition("+")[0]  # +cpu, +cu128: how it was built
        except PackageNotFoundError:
            wrong.append(f"{name} is missing")
            continue
        if there != release:
            wrong.append(f"{name} is {there}, not {release}")
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        return Finding(
            "packages", ", ".join(wrong[:3]) + more, "run: .venv/bin/python -m pip install -r requirements.lock"
        )
    return Finding("packages", f"{len(wanted)} as in {lock.name}")


def check_cores() -> Finding:
    """How many cores this process may use."""
    cores = len(os.sched_getaffinity(0))
    return Finding("cores", f"{cores} ({platform.machine()})")


def free_gib(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Memory that a new program may take, within the bounds of a container; ``None`` where it cannot be told."""
    try:
        found = re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text(encoding="ascii"))
    except OSError:
        return None
    if found is None:
        return None
    free = int(found.group(1)) / 2**20
    try:
        limit = (cgroup / "memory.max").read_text(encoding="ascii").strip()
        used = int((cgroup / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return free
    return free if limit == "max" else min(free, (int(limit) - used) / 2**30)


def sessions_of(settings: "Settings") -> int:
    """About how many train sessions a run has; of files by their size."""
    if settings.data.kind == "shop":
        return int(settings.shop.train_sessions * settings.sample.sessions)
    train = settings.data.root / (settings.data.train or "")
    size = train.stat().st_size if train.is_file() else 0
    return int(size / 880 * settings.sample.sessions)  # bytes of a session in OTTO's JSONL


def check_memory(settings: "Settings", free: float | None) -> Finding:
    """Whether the free memory will do."""
    if free is None:
        return Finding("memory", "not known on this system")
    needed = LEAST_GIB + GIB_OF_A_RUN * min(1.0, sessions_of(settings) / SHOP_SESSIONS)
    found = f"{free:.1f} GiB free, about {needed:.1f} needed"
    if free < needed:
        return Finding("memory", found, "close other programs, or --set rankers.max_work=2e10 and sample.sessions=0.1")
    return Finding("memory", found)


def check_disk(settings: "Settings") -> Finding:
    """Whether the results will fit on the disk, and may be written."""
    folder = settings.runs.resolve()
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return Finding("disk", f"{folder} cannot be written to", "--set runs=FOLDER, one of your own")
    needed = LEAST_GB + GB_OF_A_SESSION * sessions_of(settings)
    free = shutil.disk_usage(folder).free / 1e9
    found = f"{free:.1f} GB free in {folder}, about {needed:.1f} needed"
    if free < needed:
        return Finding("disk", found, "make room, or --set runs=FOLDER on another disk")
    return Finding("disk", found)


def check_gpu(settings: "Settings") -> Finding:
    """Whether there is a GPU, and torch can use it; none is needed."""
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return Finding("GPU", ", ".join(names))
    if settings.rankers.device != "cpu":
        return Finding("GPU", "none that can be used", "--set rankers.device=cpu")
    if shutil.which("nvidia-smi") is not None:
        remedy = "update its driver, or install a torch that was built for it; the CPU will do, too"
        return Finding("GPU", f"there is one, but torch {torch.__version__} cannot use it", remedy)
    return Finding("GPU", "none, and none is needed: the CPU trains the retrievers")


def check_data(settings: "Settings") -> list[Finding]:
    """Whether the files that a config names are there."""
    data = settings.data
    if data.kind == "shop":
        return [Finding("data", "the synthetic shop, which needs no file")]
    found = []
    for name in (data.train, data.test, data.test_labels):
        if name is None:
            continue
        path = data.root / name
        if not path.is_file():
            remedy = "put it there, or --set data.root=FOLDER; README.md says how to get the Kaggle data"
            found.append(Finding("data", f"{path} is not there", remedy))
        elif path.stat().st_size == 0:
            found.append(Finding("data", f"{path} is empty", "get it again"))
        elif not os.access(path, os.R_OK):
            found.append(Finding("data", f"{path} cannot be read", f"run: chmod u+r {path}"))
        else:
            found.append(Finding("data", f"{path}, {path.stat().st_size / 1e6:,.1f} MB"))
    return found


def findings(config: Path, assignments: list[str]) -> Iterator[Finding]:
    """Every check, one after the other; those that need packages only where these are there."""
    yield check_python()
    yield check_cores()
    packages = check_packages()
    yield packages
    try:
        from scripts.settings import load_settings
    except ImportError as error:
        if packages.remedy is None:
            yield Finding("imports", str(error), "run: make setup")
        return
    try:
        settings = load_settings(config, assignments)
    except InputError as error:
        yield Finding("config", f"{error.file}{f':{error.line}' if error.line else ''}: {error.problem}", error.remedy)
        return
    yield Finding("config", str(config))
    yield check_memory(settings, free_gib())
    yield check_disk(settings)
    yield check_gpu(settings)
    yield from check_data(settings)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the findings; return 1 if one of them must be mended."""
    made = argparse.ArgumentParser(
        prog="python -m scripts.doctor",
        description=__doc__,
        epilog="example: python -m scripts.doctor --config configs/otto.toml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "--config", type=Path, default=ROOT / "configs" / "shop.toml", help="TOML file (the default shop)"
    )
    made.add_argument("--set", dest="assignments", action="append", default=[], metavar="KEY=VALUE")
    arguments = made.parse_args(argv)
    bad = 0
    for one in findings(arguments.config, arguments.assignments):
        mark = "ok " if one.remedy is None else "BAD"
        print(f"{mark}  {one.what:<9} {one.found}" + ("" if one.remedy is None else f"\n     remedy:   {one.remedy}"))
        bad += one.remedy is not None
    print(f"{bad} to be mended" if bad else "all is well")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
