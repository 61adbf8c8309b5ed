"""Tables of items and sessions, texts and vectors: read, checked, fitted on what the fit may see."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from events.errors import InputError
from events.index import IdIndex
from events.knowledge import text
from events.knowledge.fitted import Knowledge, fit_knowledge
from events.knowledge.reading import NEVER, ItemColumns, UserColumns, read_items, read_users
from events.knowledge.settings import KnowledgeSettings, VectorsSettings
from events.knowledge.text import hashed_counts, text_vectors
from events.knowledge.vectors import read_vectors
from events.log import SessionLog

ALL = KnowledgeSettings()


def write(path: Path, **columns: pl.Series) -> Path:
    pl.DataFrame(columns).write_parquet(path)
    return path


def items_file(folder: Path, **changes: pl.Series | None) -> Path:
    columns: dict[str, pl.Series | None] = {
        "id": pl.Series([3, 5, 9, 11]),
        "category": pl.Series([["men", "shoes"], ["women", "shoes"], None, ["men"]], dtype=pl.List(pl.String)),
        "brand": pl.Series(["b", None, "a", "b"]),
        "price": pl.Series([1.5, None, 0.0, 20.0], dtype=pl.Float32),
        "published": pl.Series([1_000, None, 86_400_500, 10], dtype=pl.Int64),
        "text": pl.Series(["red shoe", None, "blue shoe", ""]),
        **changes,
    }
    return write(folder / "items.parquet", **{name: one for name, one in columns.items() if one is not None})


def test_items_are_read(tmp_path: Path) -> None:
    found = read_items(items_file(tmp_path), ALL)
    assert found.leaf is not None
    assert found.parent is not None
    assert found.leaf.tolist() == [1, 2, -1, 0]  # men, men/shoes, women/shoes
    assert found.parent.tolist() == [0, 1, -1, -1]
    assert found.brand is not None
    assert found.brand.tolist() == [1, -1, 0, 1]
    np.testing.assert_array_equal(found.price, np.array([1.5, np.nan, 0, 20], np.float32))
    assert found.published is not None
    assert found.published.tolist() == [1, NEVER, 86_400, 0]
    assert found.text is not None
    assert {one.dtype for one in (found.leaf, found.parent, found.brand)} == {np.dtype(np.int32)}


def test_what_is_not_there_or_not_wanted_is_nothing(tmp_path: Path) -> None:
    flat = pl.Series([["a"], ["b"], None, []], dtype=pl.List(pl.String))
    path = items_file(tmp_path, category=flat, price=None, brand=pl.Series([None] * 4, dtype=pl.String))
    found = read_items(path, KnowledgeSettings(columns=("category", "brand", "price")))
    assert found.leaf is not None
    assert found.leaf.tolist() == [0, 1, -1, -1]
    assert found.parent is found.brand is found.price is found.published is found.text is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"price": pl.Series([1.0, -2.0, 3.0, 4.0])}, "price of item row 1 is -2.0"),
        ({"price": pl.Series(["1", "2", "3", "4"])}, "column price is String, not a number"),
        ({"category": pl.Series(["a", "b", "c", "d"])}, "column category is String, not a list"),
        ({"category": pl.Series([["a", None], ["b"], ["c"], ["d"]])}, "holds a null"),
        ({"published": pl.Series([1.5, 2.0, 3.0, 4.0])}, "column published is Float64"),
    ],
)
def test_wrong_tables_of_items_are_refused(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_items(items_file(tmp_path, **change), ALL)


def test_sessions_are_read_and_checked(tmp_path: Path) -> None:
    path = write(
        tmp_path / "users.parquet",
        age=pl.Series([30, None, 50]),
        active=pl.Series([True, False, None]),
        club=pl.Series(["x", None, "y"]),
        when=pl.Series(["2020-01-01"] * 3).str.to_date(),
    )
    with pytest.raises(InputError, match="column when is Date"):
        read_users(path, ALL, 3)
    found = read_users(path, KnowledgeSettings(users=("age", "active", "club")), 3)
    np.testing.assert_array_equal(found.numeric["age"], np.array([30, np.nan, 50], np.float32))
    np.testing.assert_array_equal(found.numeric["active"], np.array([1, 0, np.nan], np.float32))
    assert found.categorical["club"].to_list() == ["x", None, "y"]
    with pytest.raises(InputError, match="3 rows, but the pass has 4 sessions"):
        read_users(path, KnowledgeSettings(users=("age",)), 4)
    with pytest.raises(InputError, match="no column size"):
        read_users(path, KnowledgeSettings(users=("size",)), 3)


WORDS = st.lists(st.sampled_from(["Red", "shoe", "blue", "a-b", "x9"]), max_size=6)


@settings(max_examples=30, deadline=None)
@given(texts=st.lists(WORDS, min_size=1, max_size=6))
def test_words_and_pairs_are_counted(texts: list[list[str]]) -> None:
    """Equal terms share a bucket, and each text has as many terms as words and pairs of neighbours."""
    counts = hashed_counts(pl.Series([" ".join(one) for one in texts], dtype=pl.String))
    for row, one in enumerate(texts):
        words = " ".join(one).lower().replace("-", " ").split()
        terms = words + [f"{a} {b}" for a, b in pairwise(words)]
        dense = counts[[row], :].toarray()[0]
        assert dense.sum() == len(terms)
        assert (dense > 0).sum() == len(set(terms))  # of so few, none share a bucket


def test_texts_that_share_rare_words_are_near() -> None:
    rng = np.random.default_rng(1)
    kind = np.arange(300) % 20
    common = [" ".join(rng.choice(["the", "and", "with", "of", "new"], 6)) for _ in range(300)]
    texts = pl.Series([f"{words} kind{k} part{k} {words[:3]}" for words, k in zip(common, kind, strict=True)])
    fitted = np.arange(300) < 250
    vectors = text_vectors(texts, fitted, 32)
    np.testing.assert_allclose((vectors**2).sum(axis=1), 1, rtol=1e-5)
    near = vectors @ vectors.T
    same = kind[:, None] == kind
    assert near[same].mean() > 0.6
    assert near[~same].mean() < 0.2
    best = np.argsort(-near[~fitted][:, fitted], axis=1)[:, :5]  # of a text that was not fitted
    assert (kind[fitted][best] == kind[~fitted][:, None]).mean() > 0.95
    assert not np.any(text_vectors(pl.Series(["a b", None, "", "c"]), np.array([True] * 3 + [False]), 4)[1:])


def test_exact_where_the_dimensions_suffice() -> None:
    """With as many dimensions as texts, cosines are those of the sparse vectors themselves."""
    texts = pl.Series(["red shoe", "blue shoe", "red hat", "green hat hat"])
    fitted = np.ones(4, np.bool_)
    vectors = text_vectors(texts, fitted, 8)
    counts = hashed_counts(texts).toarray()
    weights = np.log((1 + 4) / (1 + (counts > 0).sum(axis=0))) + 1
    wide = np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0) * weights
    wide /= np.sqrt((wide**2).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(vectors @ vectors.T, wide @ wide.T, atol=1e-5)


def test_texts_that_were_not_fitted_change_nothing() -> None:
    fitted = np.array([True, True, True, False])
    texts = ["red shoe", "blue shoe", "old red hat"]
    one = text_vectors(pl.Series([*texts, "red red red"]), fitted, 3)
    two = text_vectors(pl.Series([*texts, "blue hat of old"]), fitted, 3)
    np.testing.assert_array_equal(one[:3], two[:3])
    assert not np.allclose(one[3], two[3])
    assert text.BUCKETS == 2**18


ITEMS = IdIndex(pl.Series("id", [3, 5, 9]))


def vectors_at(folder: Path, name: str, ids: Any = None) -> VectorsSettings:
    return VectorsSettings(name="image", path=folder / name, ids=None if ids is None else folder / ids)


def test_vectors_come_as_lists_columns_or_npy(tmp_path: Path) -> None:
    wanted = np.array([[0, 0], [0.6, 0.8], [-1, 0]], np.float32)
    ids, rows = pl.Series([9, 5, 77]), [[-2.0, 0.0], [3.0, 4.0], [1.0, 1.0]]
    write(tmp_path / "list.parquet", id=ids, vector=pl.Series(rows))
    write(tmp_path / "array.parquet", id=ids.cast(pl.String), v=pl.Series(rows, dtype=pl.Array(pl.Float32, 2)))
    write(tmp_path / "wide.parquet", id=ids, a=pl.Series([-2, 3, 1]), b=pl.Series([0.0, 4.0, 1.0]))
    np.save(tmp_path / "x.npy", np.array(rows, np.float32))
    write(tmp_path / "ids.parquet", id=ids)
    (tmp_path / "ids.txt").write_text("9\n5\n77\n")
    for chosen in (
        vectors_at(tmp_path, "list.parquet"),
        vectors_at(tmp_path, "array.parquet"),
        vectors_at(tmp_path, "wide.parquet"),
        vectors_at(tmp_path, "x.npy", "ids.parquet"),
        vectors_at(tmp_path, "x.npy", "ids.txt"),
    ):
        found = read_vectors(chosen, ITEMS)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, atol=1e-7)
    texts = IdIndex(pl.Series("id", ["5", "9"]))
    np.testing.assert_allclose(read_vectors(vectors_at(tmp_path, "list.parquet"), texts), wanted[1:], atol=1e-7)


@pytest.mark.parametrize(
    ("ids", "rows", "says"),
    [
        ([3, 3], [[1.0], [2.0]], "repeats"),
        ([3, None], [[1.0], [2.0]], "missing"),
        ([3, 5], [[1.0], [2.0, 3.0]], "several lengths"),
        ([3, 5], [[1.0], [float("inf")]], "row 1 has a number that is not finite"),
        ([4, 6], [[1.0], [2.0]], "no id is one of the shop's: such as 4, where the shop has ids such as 3"),
        (["a", "b"], [[1.0], [2.0]], "ids are text"),
    ],
)
def test_wrong_vectors_are_refused(tmp_path: Path, ids: list[Any], rows: list[list[float]], says: str) -> None:
    write(tmp_path / "v.parquet", id=pl.Series(ids), vector=pl.Series(rows))
    with pytest.raises(InputError, match=says):
        read_vectors(vectors_at(tmp_path, "v.parquet"), ITEMS)


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("3\n5")
    np.save(tmp_path / "one.npy", np.zeros((3, 2)))
    np.save(tmp_path / "flat.npy", np.zeros(3))
    (tmp_path / "bad.npy").write_text("no array")
    (tmp_path / "bad.parquet").write_text("no table")
    write(tmp_path / "text.parquet", id=pl.Series([3]), name=pl.Series(["x"]))
    for name, ids, says in (
        ("none.npy", "ids.txt", "no such file"),
        ("one.npy", "ids.txt", "2 ids for 3 vectors"),
        ("flat.npy", "ids.txt", "1 dimensions"),
        ("bad.npy", "ids.txt", "not an array"),
        ("bad.parquet", None, "cannot be read"),
        ("text.parquet", None, "not numbers"),
    ):
        with pytest.raises(InputError, match=says):
            read_vectors(vectors_at(tmp_path, name, ids), ITEMS)
    for wrong in ({"path": "x.csv"}, {"path": "x.npy"}, {"path": "x.parquet", "ids": "y"}, {"path": "x.npy", "dim": 3}):
        with pytest.raises(ValidationError):
            VectorsSettings(name="image", **wrong)
    for name in ("text", "two words"):
        with pytest.raises(ValidationError):
            KnowledgeSettings(
                vectors=(VectorsSettings.model_construct(name=name, path=Path("x.parquet")).model_dump(),)
            )


def fitted(cold: bool, until: int | None = 86_400 * 3, **changes: Any) -> Knowledge:
    columns: dict[str, Any] = {
        "leaf": np.array([5, 2, 7, -1], np.int32),
        "published": np.array([0, NEVER, 86_400 * 4, 86_400], np.int64),
        "text": pl.Series(["a b", "a c", "a b c", None]),
        **changes,
    }
    users = UserColumns(
        {"age": np.array([1, np.nan, 3], np.float32)},
        {"club": pl.Series(["x", "y", "y"]), "land": pl.Series(["q"] * 3)},
    )
    log = SessionLog.of([[0, 1], [1, 1]], n_items=4)
    return fit_knowledge(ItemColumns(**columns), users, {}, log, until, KnowledgeSettings(cold=cold, text_dim=2))


def test_knowledge_is_fitted_on_the_fit(tmp_path: Path) -> None:
    found = fitted(cold=True)
    assert found.fitted.tolist() == [True, True, False, False]
    assert found.leaf is not None
    assert found.leaf.tolist() == [1, 0, 2, -1]
    assert found.age is not None
    np.testing.assert_array_equal(found.age, np.array([3, np.nan, 0, 2], np.float32))
    assert found.late == 1
    assert not found.cold.any()  # one is published later, of the other nothing is known that compares
    assert fitted(cold=True, published=None).cold.tolist() == [False, False, True, False]
    assert not fitted(cold=False, published=None).cold.any()
    assert fitted(cold=True, until=None).age is None
    users = found.users
    assert users is not None
    assert users.names == ("age", "club", "land")
    # Of two fitted sessions each has a club of its own, and the name decides; the third session is not fitted.
    assert users.categorical.tolist() == [[0, 0], [1, 0], [1, 0]]
    assert found.lacks == ("brand", "price")
    found.save(tmp_path)
    loaded = Knowledge.load(tmp_path)
    assert loaded.lacks == found.lacks
    assert loaded.late == 1
    for one, two in ((found.age, loaded.age), (found.leaf, loaded.leaf), (found.published, loaded.published)):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(loaded.spaces["text"], found.spaces["text"])
    assert loaded.users is not None
    np.testing.assert_array_equal(loaded.users.numeric, users.numeric)
    assert loaded.users.names == users.names


def test_a_category_without_a_fitted_session_is_unknown() -> None:
    users = UserColumns({}, {"club": pl.Series(["x", "z", None, "x", "y", "y", "y"])})
    log = SessionLog.of([[0]] * 5, n_items=1)
    found = fit_knowledge(ItemColumns(), users, {}, log, None, ALL).users
    assert found is not None
    assert found.categorical[:, 0].tolist() == [0, 2, -1, 0, 1, 1, 1]
    assert found.numeric.shape == (7, 0)
    late = UserColumns({}, {"club": pl.Series(["x", "z"])})
    again = fit_knowledge(ItemColumns(), late, {}, log.slice(0, 1), None, ALL).users
    assert again is not None
    assert again.categorical[:, 0].tolist() == [0, -1]
    assert fit_knowledge(ItemColumns(), UserColumns({}, {}), {}, log, None, ALL).users is None
