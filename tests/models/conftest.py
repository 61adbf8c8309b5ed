"""Logs that the tests of this floor share."""

from collections.abc import Iterator

import pytest
import torch

from events.log import SessionLog
from tests.models.worlds import chain_log


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Batches of these sizes are slower on several threads, and much slower beside other jobs."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def train() -> SessionLog:
    """1,500 sessions of the planted chain."""
    return chain_log(1_500, seed=1)


@pytest.fixture(scope="session")
def asked() -> SessionLog:
    """300 others."""
    return chain_log(300, seed=2)
