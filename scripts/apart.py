"""Calls in processes of their own, several at once: what one leaves idle of the processor, another uses."""

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Sequence
from functools import partialmethod
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from tqdm import tqdm

Result = TypeVar("Result")


def call_apart(work: Callable[..., Result], calls: Sequence[tuple[Any, ...]], at_once: int) -> list[Result]:
    """``work(*call)`` of each call, begun in this order, ``at_once`` at a time, each in a process of its own.

    An error of one ends the others. The processes end with this one, however it ends.

    work, calls : importable, and picklable as the results must be

    Raises
    ------
    MemoryError
        If a process was killed: the system does so where memory runs out.
    Exception
        Whatever a call raises, its traceback in a note.
    """
    context = multiprocessing.get_context("spawn")  # a forked process hangs in locks that threads held
    results: dict[int, Result] = {}
    running: dict[Connection, tuple[int, int, Any]] = {}
    slots, begun = list(range(at_once)), 0
    try:
        while len(results) < len(calls):
            while slots and begun < len(calls):
                slot = slots.pop(0)
                here, there = context.Pipe(duplex=False)
                process = context.Process(target=_answer, args=(there, slot, work, calls[begun]), daemon=True)
                process.start()
                there.close()
                running[here] = begun, slot, process
                begun += 1
            ready = wait(list(running))
            for here in [one for one in running if one in ready]:
                number, slot, process = running[here]
                results[number] = _received(here, process)
                del running[here]
                slots.append(slot)
    finally:
        for _, _, process in running.values():
            process.kill()
            process.join()
    return [results[number] for number in range(len(calls))]


def _received(here: Connection, process: Any) -> Any:
    """What a process sends: its result, or an error to raise."""
    try:
        result, error = here.recv()
    except EOFError:
        process.join()
        if process.exitcode == -signal.SIGKILL:
            raise MemoryError from None
        raise RuntimeError(f"a process ended with code {process.exitcode}") from None
    process.join()
    if error is not None:
        raise error
    return result


def _answer(there: Connection, slot: int, work: Callable[..., Any], call: tuple[Any, ...]) -> None:
    """What a process does; ``slot`` is the line of its progress bar."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted as well, and ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    setattr(tqdm, "__init__", partialmethod(tqdm.__init__, position=slot))  # noqa: B010  (no assignment for mypy)
    try:
        there.send((work(*call), None))
    except BaseException as error:
        error.add_note(traceback.format_exc())
        there.send((None, error))


def _end_with_parent() -> None:
    """End this process when its parent has: what is half done is gone on from by the next run."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
