from typing import Any

import pytest
from pydantic import ValidationError

from events.settings import DataSettings, EventsSettings, SampleSettings, SplitSettings


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (DataSettings, {"rott": "data"}),
        (DataSettings, {"kind": "otto"}),
        (DataSettings, {"kind": "csv", "train": "x"}),
        (DataSettings, {"separator": ""}),
        (DataSettings, {"types": {"view": "views"}}),
        (DataSettings, {"columns": {"item": "x"}}),
        (DataSettings, {"text_ids": ["item"]}),
        (EventsSettings, {"on_bad_rows": "ignore"}),
        (SplitSettings, {"validation": "random"}),
        (SplitSettings, {"days": 0}),
        (SplitSettings, {"share": 1}),
        (SplitSettings, {"min_events": 1}),
        (SplitSettings, {"cut_ms": "soon"}),
        (SampleSettings, {"sessions": 0}),
        (SampleSettings, {"sessions": 1.5}),
    ],
)
def test_wrong_settings_are_refused(model: Any, values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        model(**values)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        SplitSettings().days = 3  # type: ignore[misc]
