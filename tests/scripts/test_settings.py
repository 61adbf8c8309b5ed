"""Settings: what the user got wrong is named with its file, its line and the remedy."""

import pytest

from events.compiled import ROOT
from events.errors import InputError
from scripts.settings import load_settings

GOOD = """# a shop
seed = 3

[data]
kind = "otto"
train = "train.jsonl"

[split]
days = 7
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text(GOOD)
    return path


def test_a_file_and_assignments_make_frozen_settings(config):
    settings = load_settings(config, ["events.on_bad_rows=skip", "split.days=2", 'data.test="test.jsonl"'])
    assert (settings.seed, settings.split.days, settings.events.on_bad_rows) == (3, 2, "skip")
    assert settings.data.test == "test.jsonl"
    with pytest.raises(ValueError, match="frozen"):
        settings.seed = 4


@pytest.mark.parametrize(
    ("edit", "line", "words"),
    [
        (("seed = 3", "sead = 3"), 2, "unknown key sead"),
        (("seed = 3", "seed = 'three'"), 2, "seed: "),
        (("days = 7", "dayz = 7"), 9, r"unknown key split\.dayz"),
        (("days = 7", "days = [1]"), 9, r"split\.days: "),
        (("[split]", "[splitt]"), 8, "unknown key splitt"),
        (("kind = ", "kind "), 5, "not TOML"),
        (("[split]", "sessions = {by = 'gap'}\n[split]"), 4, r"data: data\.sessions\.by='gap' .*is none\."),
    ],
)
def test_mistakes_in_the_file_name_its_line(config, edit, line, words):
    config.write_text(GOOD.replace(*edit))
    with pytest.raises(InputError, match=rf"x\.toml:{line}: .*{words}.*Remedy: ") as caught:
        load_settings(config)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("seed", "not of the form key=value"),
        ("split.dayz=3", r"unknown key split\.dayz"),
        ("split.days=soon", r"split\.days: "),
        ("seed.sub=3", "seed is not a section"),
    ],
)
def test_mistakes_on_the_command_line_name_the_assignment(config, assignment, words):
    with pytest.raises(InputError, match=f"--set {assignment}: {words}"):
        load_settings(config, [assignment])


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(InputError, match=r"none\.toml: no such file"):
        load_settings(tmp_path / "none.toml")


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda path: path.stem)
def test_every_committed_config_is_read(path):
    assert load_settings(path).data.kind
