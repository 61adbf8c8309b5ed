"""Settings forbid what they do not know."""

import pytest
from pydantic import ValidationError

from events.columns import WEIGHTS
from submissions.settings import SubmissionSettings


def test_defaults_are_the_competitions() -> None:
    settings = SubmissionSettings()
    assert settings.k == 20
    assert settings.weights.by_target() == WEIGHTS


@pytest.mark.parametrize(
    "given",
    [
        {"k": 0},
        {"depth": 3},
        {"weights": {"views": 1.0}},
        {"weights": {"clicks": -1}},
        {"weights": {"clicks": 0, "carts": 0, "orders": 0}},
    ],
)
def test_refuses_nonsense(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SubmissionSettings.model_validate(given)


def test_is_frozen() -> None:
    with pytest.raises(ValidationError):
        SubmissionSettings().k = 3  # type: ignore[misc]
