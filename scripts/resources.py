"""What a stage costs: wall time, CPU time and peak memory of the whole process tree.

Peak memory is the maximum over time of anonymous plus shared memory (RssAnon + RssShmem). Pages of mapped files are
left out: the kernel drops them when it needs room, so they are no need of the program's.
"""

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

INTERVAL = 0.1
"""Seconds between two looks at the memory."""


def own_memory(pid: int) -> int:
    """Bytes of anonymous and shared memory of one process; 0 if it is gone. Without /proc: the resident size."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        if Path("/proc/self/status").exists():
            return 0
        try:
            return int(psutil.Process(pid).memory_info().rss)
        except psutil.Error:
            return 0
    except OSError:
        return 0
    kib = [int(line.split()[1]) for line in text.splitlines() if line.startswith(("RssAnon:", "RssShmem:"))]
    return 1024 * sum(kib)


@dataclass
class Meter:
    """Measure a block: ``with Meter() as meter: ...``, then read ``wall_s``, ``cpu_s`` and ``peak_gib``."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_bytes: int = 0
    _child_cpu: dict[int, float] = field(default_factory=dict)
    _done: threading.Event = field(default_factory=threading.Event)

    @property
    def peak_gib(self) -> float:
        """Peak memory in GiB."""
        return self.peak_bytes / 2**30

    def _look(self) -> None:
        process = psutil.Process()
        total = own_memory(process.pid)
        try:
            children = process.children(recursive=True)
        except psutil.Error:
            children = []
        for child in children:
            total += own_memory(child.pid)
            try:
                times = child.cpu_times()
                self._child_cpu[child.pid] = times.user + times.system
            except psutil.Error:
                continue
        self.peak_bytes = max(self.peak_bytes, total)

    def _watch(self) -> None:
        while not self._done.wait(INTERVAL):
            self._look()

    def __enter__(self) -> Self:
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._look()
        self._done.set()
        self._thread.join()
        self.wall_s = time.perf_counter() - self._wall
        self.cpu_s = time.process_time() - self._cpu + sum(self._child_cpu.values())
