"""The meter sees anonymous memory, not the pages of mapped files, and the children's too."""

import subprocess
import sys
import time

import numpy as np

from scripts.resources import Meter


def test_peak_counts_fresh_memory_and_leaves_out_mapped_files(tmp_path):
    np.save(tmp_path / "big.npy", np.ones(30_000_000, np.int8))
    with Meter() as idle:
        mapped = np.load(tmp_path / "big.npy", mmap_mode="r")
        assert int(mapped.sum()) == 30_000_000
    with Meter() as busy:
        block = np.ones(600_000_000, np.int8)
        time.sleep(0.25)
    # Allocators may hand back what earlier tests had used meanwhile.
    assert busy.peak_bytes - idle.peak_bytes > 300_000_000
    assert block.size > 0
    assert busy.wall_s >= 0.25


def test_children_count(tmp_path):
    code = "import time; x = bytearray(b'1') * 150_000_000; time.sleep(0.6)"
    with Meter() as idle:
        pass
    with Meter() as meter:
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert meter.peak_bytes - idle.peak_bytes > 100_000_000
    assert meter.cpu_s > 0
