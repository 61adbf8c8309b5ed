"""The settings, and the generated table."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from candidates.pool import Arena
from events.log import NEEDS
from features import table
from features.assemble import FeatureBuilder
from features.items import fit_items
from features.settings import FeaturesSettings
from tests.features.chunks import COLUMNS, random_chunk

CHANGES: dict[str, Any] = {
    "groups": ("pair", "session"),
    "source_scores": ("share",),
    "fusion": 5.0,
    "windows_days": (1, 2),
    "conversion_prior": 2.0,
    "trend_prior": 1.0,
    "max_age_days": 1.0,
    "visit_gap_minutes": 0.5,
    "utc_offset_hours": 5.0,
    "oldest_exponent": 0.7,
    "type_weights": (3.0, 2.0, 1.0),
    "affinity_tail": 2,
    "affinity_unit": "best",
}


def built(settings: FeaturesSettings) -> tuple[tuple[str, ...], np.ndarray]:
    """Names and matrix of one chunk."""
    chunk = random_chunk(9, frozenset(NEEDS), n_sessions=40)
    items = fit_items(chunk.log, settings)
    builder = FeatureBuilder(settings, chunk.log.has, COLUMNS, items, chunk.matrices, searchers=chunk.searchers)
    return builder.names, builder.build(chunk.log, chunk.candidates, Arena())


@pytest.mark.parametrize("key", FeaturesSettings.model_fields)
def test_every_key_changes_something(key: str) -> None:
    names, matrix = built(FeaturesSettings())
    other_names, other = built(FeaturesSettings(**{key: CHANGES[key]}))
    assert names != other_names or not np.array_equal(matrix, other, equal_nan=True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"windows_days": ()},
        {"windows_days": (3, 1)},
        {"windows_days": (0, 1)},
        {"groups": ("pair", "pair")},
        {"groups": ("pears",)},
        {"source_scores": ("share", "share")},
        {"affinity_tail": 0},
        {"unknown": 1},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FeaturesSettings(**wrong)


def test_the_table_of_features_is_up_to_date() -> None:
    assert table.PATH.read_text(encoding="utf-8") == table.markdown(), "run python -m features.table"


def test_the_table_holds_every_feature_that_is_built() -> None:
    text = table.markdown()
    for name in built(FeaturesSettings(source_scores=("zscore", "share")))[0]:
        for column in COLUMNS:
            name = name.removesuffix(column) + "<source>" if name.endswith(f"_{column}") else name
        for matrix in ("clicks", "buys"):
            name = name.replace(f"affinity_{matrix}_", "affinity_<matrix>_")
        for retriever in ("near", "typed_clicks", "typed_carts", "typed_orders", "typed"):
            name = name.replace(f"similarity_{retriever}_", "similarity_<retriever>_")
        assert f"| `{name}` |" in text
