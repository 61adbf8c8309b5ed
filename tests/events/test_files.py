"""Atomic writes: whole or absent, the old file stays until the new one is whole."""

import numpy as np
import pytest

from events.errors import InputError
from events.files import atomic_file, atomic_folder, load_array, read_json, save_arrays, write_json


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"x": 1})
    with pytest.raises(RuntimeError), atomic_file(path) as beside:
        beside.write_text("half")
        raise RuntimeError
    assert read_json(path) == {"x": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_replaces_the_old_one_only_when_whole(tmp_path):
    path = tmp_path / "stage"
    with atomic_folder(path) as beside:
        save_arrays(beside, a=np.arange(3), b=None)
    with pytest.raises(RuntimeError), atomic_folder(path) as beside:
        (beside / "c").write_text("half")
        raise RuntimeError
    assert load_array(path, "a").tolist() == [0, 1, 2]
    assert load_array(path, "b") is None
    assert [p.name for p in tmp_path.iterdir()] == ["stage"]


def test_leftovers_of_a_killed_process_are_no_obstacle(tmp_path):
    (tmp_path / "stage.partial").mkdir()
    (tmp_path / "stage.partial" / "junk").write_text("x")
    with atomic_folder(tmp_path / "stage") as beside:
        (beside / "a").write_text("whole")
    assert sorted(p.name for p in (tmp_path / "stage").iterdir()) == ["a"]


def test_bad_json_names_its_line(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"x": 1,\n "y": }\n')
    with pytest.raises(InputError, match=r"a\.json:2: not JSON"):
        read_json(path)
