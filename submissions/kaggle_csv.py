"""The submission file: ``session_type,labels``, a row a session and target; or a row a session, of one target."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from events.columns import TARGETS
from events.compiled import kernel
from events.errors import InputError
from events.files import atomic_file
from events.index import IdIndex
from events.lists import Lists
from submissions.identifiers import IdBytes
from submissions.rows import COMMA, HEADER, LINE_FEED, SPACE, UNDERSCORE

CHUNK = 50_000
"""Sessions that are rendered at once."""


@kernel
def _copy(
    text: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], which: int, out: npt.NDArray[np.uint8], size: int
) -> int:
    for place in range(offsets[which], offsets[which + 1]):
        out[size] = text[place]
        size += 1
    return size


@kernel
def _render(
    session_text: npt.NDArray[np.uint8],
    session_offsets: npt.NDArray[np.int64],
    first_session: int,
    target_text: npt.NDArray[np.uint8],
    target_offsets: npt.NDArray[np.int64],
    item_text: npt.NDArray[np.uint8],
    item_offsets: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    aids: npt.NDArray[np.int32],
    out: npt.NDArray[np.uint8],
) -> int:
    """Write rows into ``out``, session by session and target by target, and return the number of bytes."""
    size = 0
    n_targets = target_offsets.size - 1
    for row in range(starts.size):
        size = _copy(session_text, session_offsets, first_session + row // n_targets, out, size)
        out[size] = UNDERSCORE
        size = _copy(target_text, target_offsets, row % n_targets, out, size + 1)
        out[size] = COMMA
        size += 1
        for i in range(starts[row], stops[row]):
            if i > starts[row]:
                out[size] = SPACE
                size += 1
            size = _copy(item_text, item_offsets, aids[i], out, size)
        out[size] = LINE_FEED
        size += 1
    return size


SEPARATORS = r'[,"\s]'


def refuse_separators(path: Path, what: str, ids: pl.Series) -> None:
    """Refuse ids that would break the form of a submission, in which spaces divide items; integers never do.

    Raises
    ------
    InputError
        If an id holds a comma, a quote or white space, or is empty.
    """
    if ids.dtype.is_integer():
        return
    bad = ids.filter(ids.str.contains(SEPARATORS) | (ids == ""))
    if len(bad):
        remedy = f"rename the {what}s: an id in a submission holds no comma, quote, space or line break"
        raise InputError(path, None, f"the {what} id {bad[0]!r} cannot be written", remedy)


def _interleave(
    lists: list[Lists], start: int, stop: int, k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Where the first k items of each row begin and end, session by session, target by target, and the items."""
    parts = [one.slice(start, stop) for one in lists]
    bases = np.cumsum([0] + [part.aids.size for part in parts[:-1]])
    starts = np.stack([part.offsets[:-1] + base for part, base in zip(parts, bases, strict=True)], axis=1).ravel()
    lengths = np.stack([np.minimum(part.lengths, k) for part in parts], axis=1).ravel()
    return starts, starts + lengths, np.concatenate([part.aids for part in parts])


def write_submission(
    path: Path, session_ids: pl.Series, lists: Mapping[str, Lists], items: IdIndex, k: int = 20
) -> int:
    """Write ``<session>_<target>,<item> <item> ...`` of S sessions in their order; return the number of rows.

    session_ids : S source ids, integers or strings
    lists       : target to S lists; the first ``k`` of each are written, shorter and empty ones as they are
    items       : the source ids of the lists' items

    Rows of a session stand in the order clicks, carts, orders. A target without lists has no rows: the shop does not
    know it, and rows that are always empty would say that nothing was found. The file is whole or absent.

    Raises
    ------
    InputError
        If an id holds a comma, a quote or white space, or is empty.
    """
    targets = [target for target in TARGETS if target in lists]
    chosen = [lists[target] for target in targets]
    for one in chosen:
        if len(one) != len(session_ids):
            raise ValueError(f"{len(one)} lists for {len(session_ids)} sessions")
        if one.aids.size and not 0 <= int(one.aids.min()) <= int(one.aids.max()) < len(items):
            raise ValueError("a list holds an item that the index does not")
    refuse_separators(path, "session", session_ids)
    refuse_separators(path, "item", items.ids)

    sessions, names, known = (
        IdBytes.of(session_ids),
        IdBytes.of(pl.Series(targets, dtype=pl.String)),
        IdBytes.of(items.ids),
    )
    row_size = sessions.longest + names.longest + 3  # underscore, comma, line break
    out = np.zeros(0, np.uint8)
    with atomic_file(path) as beside, beside.open("wb") as file:
        file.write(HEADER.encode() + b"\n")
        for start in range(0, len(session_ids) if targets else 0, CHUNK):
            starts, stops, aids = _interleave(chosen, start, min(start + CHUNK, len(session_ids)), k)
            need = starts.size * row_size + int((stops - starts).sum()) * (known.longest + 1)
            if need > out.size:
                out = np.empty(need, np.uint8)
            size = _render(
                sessions.text, sessions.offsets, start, names.text, names.offsets, known.text, known.offsets,
                starts, stops, aids, out,
            )  # fmt: skip
            file.write(out[:size].data)
    return len(targets) * len(session_ids)


def write_lists(
    path: Path, session_ids: pl.Series, lists: Lists, items: IdIndex, k: int = 12, header: str = "session,labels"
) -> int:
    """Write ``<session>,<item> <item> ...`` of S sessions in their order, such as H&M's; return the number of rows.

    session_ids : S source ids, integers or strings (zeros in front are kept)
    lists       : S lists; the first ``k`` items of each are written
    header      : names of the two columns

    Raises
    ------
    InputError
        As :func:`write_submission`.
    """
    if len(lists) != len(session_ids):
        raise ValueError(f"{len(lists)} lists for {len(session_ids)} sessions")
    refuse_separators(path, "session", session_ids)
    refuse_separators(path, "item", items.ids)
    names = items.ids.cast(pl.String)
    with atomic_file(path) as beside, beside.open("wb") as file:
        file.write(header.encode() + b"\n")
        for start in range(0, len(session_ids), CHUNK):
            part = lists.slice(start, min(start + CHUNK, len(session_ids)))
            kept = np.minimum(part.lengths, k)
            owner = np.repeat(np.arange(len(part)), kept)
            first = np.cumsum(kept) - kept
            places = np.arange(owner.size) + np.repeat(part.offsets[:-1] - first, kept)
            written = pl.DataFrame({"row": owner, "item": names.gather(part.aids[places])})
            joined = written.group_by("row", maintain_order=True).agg(pl.col("item").str.join(" "))
            rows = pl.DataFrame({"row": np.arange(len(part)), "session": session_ids[start : start + len(part)]})
            rows = rows.join(joined, on="row", how="left", maintain_order="left").drop("row")
            rows.with_columns(pl.col("item").fill_null("")).write_csv(file, include_header=False, quote_style="never")
    return len(session_ids)
