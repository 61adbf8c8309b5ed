"""Logs that the tests of this floor share."""

import pytest

from events.log import SessionLog
from tests.models.worlds import chain_log


@pytest.fixture(scope="session")
def train() -> SessionLog:
    """1,500 sessions of the planted chain."""
    return chain_log(1_500, seed=1)


@pytest.fixture(scope="session")
def asked() -> SessionLog:
    """300 others."""
    return chain_log(300, seed=2)
