"""Files that are either whole or absent.

Everything is written beside its name and renamed when whole, so that a process killed at any moment leaves either
the old file or the new one.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from events.errors import InputError

PARTIAL = ".partial"


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a name beside ``path`` to write to; renamed to ``path`` on success, removed on an exception."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + PARTIAL)
    try:
        yield beside
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``path``; it replaces ``path`` on success and is removed on an exception."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + PARTIAL)
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    try:
        yield beside
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    if path.exists():
        shutil.rmtree(path)
    os.replace(beside, path)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically. Floats keep every digit."""
    with atomic_file(path) as beside:
        beside.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    InputError
        If the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(path, None, "no such file", "run the stage that writes it first") from None
    except ValueError as error:
        line = getattr(error, "lineno", None)
        raise InputError(path, line, f"not JSON: {error}", "remove the file and run its stage again") from None


def save_arrays(folder: Path, **arrays: npt.NDArray[Any] | None) -> None:
    """Save each array as ``folder/<name>.npy`` (``None`` is left out); the folder must exist."""
    for name, array in arrays.items():
        if array is not None:
            np.save(folder / f"{name}.npy", array, allow_pickle=False)


def load_array(folder: Path, name: str) -> npt.NDArray[Any] | None:
    """``folder/<name>.npy``, memory-mapped read-only; ``None`` if there is no such file."""
    path = folder / f"{name}.npy"
    if not path.exists():
        return None
    array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return np.asarray(array)


def need_array(folder: Path, name: str) -> npt.NDArray[Any]:
    """As :func:`load_array`, but a missing file is an error.

    Raises
    ------
    InputError
        If ``folder`` holds no array of this name.
    """
    array = load_array(folder, name)
    if array is None:
        raise InputError(folder / f"{name}.npy", None, "no such file", "run the stage that writes it first")
    return array
