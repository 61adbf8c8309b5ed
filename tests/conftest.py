"""Settings and fixtures that all tests share."""

from pathlib import Path

import pytest
from hypothesis import settings

# The first example pays for compilation, so no deadline; derandomised, so that a red run can be repeated.
settings.register_profile("cartograph", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("cartograph")

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data sets and golden outputs; tests that need it are skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip("the real data sets are not beside the project (../shared/data)")
    return DATA
