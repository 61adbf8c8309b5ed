"""Numba as this project uses it: compiled once, kept on disk, free of the GIL.

Every module with a kernel writes ``from events.compiled import kernel`` (never ``from numba import njit``): the cache
folder must be set before numba is imported, and it is named by the digest of the project's sources, because numba
does not notice that a callee in another file was edited.
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

FLOORS = ("events", "submissions", "models", "candidates", "features", "rankers")
KEPT_FOLDERS = 4
"""Caches of older sources that stay, so that switching between two versions costs no compilation."""

ROOT = Path(__file__).resolve().parent.parent


def source_digest(packages: tuple[str, ...], root: Path = ROOT) -> str:
    """Digest (16 hex digits) of every ``.py`` file of these packages, names included."""
    digest = hashlib.blake2b(digest_size=8)
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _set_cache_folder() -> None:
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    parent = Path(os.environ.get("CARTOGRAPH_CACHE", ROOT / ".cache")) / "numba"
    folder = parent / source_digest(FLOORS)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        old = sorted(parent.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)[KEPT_FOLDERS:]
        for path in old:
            shutil.rmtree(path, ignore_errors=True)
    except OSError:
        return  # a read-only checkout: numba falls back to its own user-wide folder
    os.environ["NUMBA_CACHE_DIR"] = str(folder)


_set_cache_folder()

from numba import njit  # noqa: E402  (the cache folder had to be set first)

VECTORISED = {"reassoc", "contract", "nsz"}

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile a hot loop: nopython, cached on disk, releases the GIL so that Python threads can share the work."""
    compiled: F = njit(function, nogil=True, cache=True)
    return compiled


def inline(function: F) -> F:
    """Compile a small function called from kernels of the same file or another; inlined by LLVM."""
    compiled: F = njit(function, nogil=True, cache=True, inline="never")
    return compiled


def vectorised(function: F) -> F:
    """As :func:`kernel`, but sums of floats may be reordered and fused and a division by 0 is no error: it vectorises.

    The result is the same in every run of one machine, but another machine may round differently.
    """
    compiled: F = njit(function, nogil=True, cache=True, fastmath=VECTORISED, error_model="numpy")
    return compiled
