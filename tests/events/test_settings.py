from datetime import date, datetime
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
        (SplitSettings, {"start": "soon"}),
        (SplitSettings, {"validation": "every_position", "more_cuts": 1}),
        (SplitSettings, {"more_cuts": -1}),
        (SplitSettings, {"validation": "dates"}),
        (SplitSettings, {"validation": "dates", "start": "2022-08-22", "cut_ms": 5}),
        (SplitSettings, {"start": "2022-08-22", "until": "2022-08-22"}),
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


def test_moments_are_milliseconds_dates_or_text() -> None:
    wanted = 1_661_126_400_000
    for given in (wanted, "2022-08-22", "2022-08-22T02:00:00+02:00", date(2022, 8, 22), datetime(2022, 8, 22)):
        assert SplitSettings(validation="dates", start=given).cut == wanted
    assert SplitSettings(cut_ms=7).cut == 7
    assert SplitSettings().cut is None
