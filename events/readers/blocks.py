"""A file in blocks of whole lines, however long the file is."""

import gzip
import mmap
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from events.errors import InputError

BLOCK_BYTES = 8 << 20


def line_blocks(path: Path, block_bytes: int = BLOCK_BYTES) -> Iterator[npt.NDArray[np.uint8]]:
    """uint8 blocks of about ``block_bytes`` that end with a newline (one is added to a last line without).

    Plain files are mapped, not read: blocks are views. Shows progress.

    Raises
    ------
    InputError
        If a .gz file is damaged or cut off; the line is the last that could be read whole.
    """
    with tqdm(total=path.stat().st_size, unit="B", unit_scale=True, desc=f"read {path.name}", disable=None) as bar:
        blocks = _unzipped(path, block_bytes, bar) if path.suffix == ".gz" else _mapped(path, block_bytes, bar)
        yield from blocks


def _mapped(path: Path, block_bytes: int, bar: "tqdm[None]") -> Iterator[npt.NDArray[np.uint8]]:
    size = path.stat().st_size
    if size == 0:
        return
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    mapped.madvise(mmap.MADV_SEQUENTIAL)
    whole = np.frombuffer(mapped, np.uint8)
    start = 0
    while start < size:
        stop = mapped.rfind(b"\n", start, start + block_bytes) + 1
        if stop == 0:
            stop = mapped.find(b"\n", start) + 1
        if stop == 0:
            yield np.append(whole[start:], np.uint8(ord("\n")))
            stop = size
        else:
            yield whole[start:stop]
        bar.update(stop - start)
        start = stop


def _unzipped(path: Path, block_bytes: int, bar: "tqdm[None]") -> Iterator[npt.NDArray[np.uint8]]:
    rest = b""
    lines = 0
    with path.open("rb") as packed, gzip.open(packed) as file:
        while True:
            before = packed.tell()
            try:
                data = file.read(block_bytes)
            except (EOFError, OSError, zlib.error) as error:
                problem = f"the compressed file is damaged or cut off ({error})"
                raise InputError(path, lines + 1, problem, "fetch it again") from None
            bar.update(packed.tell() - before)
            if not data:
                break
            stop = data.rfind(b"\n") + 1
            if stop:
                block = np.frombuffer(rest + data[:stop], np.uint8)
                lines += int(np.count_nonzero(block == ord("\n")))
                yield block
                rest = b""
            rest += data[stop:]
    if rest:
        yield np.frombuffer(rest + b"\n", np.uint8)
