"""The contracts of this floor: a retriever gives vectors, a scorer gives scores."""

from pathlib import Path
from typing import Protocol, Self, runtime_checkable

from events.arrays import F32, I32, I64, Flags
from events.log import SessionLog


@runtime_checkable
class Retriever(Protocol):
    """Vectors of items and sessions whose inner product says how well an item goes on with a session.

    name    : names its folder and its columns
    targets : the targets it has vectors of their own for; empty if one set serves all
    needs   : what it cannot do without, of ``events.log.NEEDS``; what it merely uses where a log has it is not named
    known   : bool[n_items] items that it can propose; an item that no fitted session holds is not among them

    A fitted retriever is read-only: its vectors may be asked for by several threads at once. A session's vector
    depends on that session alone, bit for bit: neither the batch nor its size changes it. How a session that was not
    fitted gets its vector is said by each class. An empty session and an unknown item are no error: a session without
    any known item has the vector 0, and an unknown item of a session is passed over.

    ``fit`` with the same seed, threads and device gives the same vectors.
    """

    name: str
    targets: tuple[str, ...]
    needs: frozenset[str]

    @property
    def known(self) -> Flags:
        """bool[n_items], once fitted."""
        ...

    def fit(self, log: SessionLog) -> Self:
        """Learn from the sessions of a pass; return self."""
        ...

    def item_vectors(self, target: str | None = None) -> F32:
        """float32[n_items, d], C-contiguous; of unknown items 0."""
        ...

    def session_vectors(self, log: SessionLog, target: str | None = None) -> F32:
        """float32[S, d], C-contiguous, a row a session."""
        ...

    def revisits(self, log: SessionLog, target: str | None = None) -> F32 | None:
        """float32[N]: what each event adds to the score of its own item in its session; ``None`` if nothing."""
        ...

    def save(self, folder: Path) -> None:
        """Write what was fitted into an existing folder, as plain arrays and JSON (no pickle)."""
        ...

    def load(self, folder: Path) -> Self:
        """Open what :meth:`save` wrote, memory-mapped where it is large; return self.

        Raises
        ------
        InputError
            If a file is missing or does not fit the settings.
        """
        ...


@runtime_checkable
class PairScorer(Protocol):
    """A model that has no vectors to search, but scores pairs of a session and an item."""

    name: str
    needs: frozenset[str]

    def fit(self, log: SessionLog) -> Self:
        """Learn from the sessions of a pass; return self."""
        ...

    def score(self, log: SessionLog, offsets: I64, aids: I32) -> F32:
        """float32[R] of the rows of candidates: those of session s are ``aids[offsets[s]:offsets[s+1]]``."""
        ...

    def save(self, folder: Path) -> None:
        """Write what was fitted into an existing folder."""
        ...

    def load(self, folder: Path) -> Self:
        """Open what :meth:`save` wrote; return self."""
        ...
