"""The pages in ``docs/`` hold: their examples run as they stand, their commands work, the generated page is current."""

import doctest
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest

from candidates.pool import Arena
from candidates.recipe_sets import TWENTY
from candidates.settings import DEFAULT_RECIPES
from features.items import fit_items
from features.settings import FeaturesSettings
from scripts import settings_table
from scripts.settings import Settings, load_settings
from scripts.settings_table import WORDS, Table, markdown
from tests.features.chunks import random_chunk

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
SMALL = (
    "models.defaults=false",
    "rankers.lambdarank.max_trees=8",
    "rankers.folds=2",
    "rankers.min_sessions=5",
    "threads=1",
)


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


def files_of(page: str) -> dict[str, str]:
    """The blocks that begin with a comment that names their file."""
    texts = [text for language in ("python", "toml") for text in blocks(page, language)]
    named = [(re.match(r"# (\S+\.(?:py|toml))\n", text), text) for text in texts]
    return {found.group(1): text for found, text in named if found}


def commands(page: str) -> list[str]:
    """Lines of a page's shell blocks, without their comments."""
    lines = [line.split("#")[0].strip() for block in blocks(page, "sh") for line in block.splitlines()]
    return [line for line in lines if line]


def run(words: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(cwd), str(ROOT)])
    environment = dict(os.environ, PYTHONPATH=paths, PYTHONWARNINGS="", PYTHONDONTWRITEBYTECODE="1")
    return subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)


def python(line: str) -> list[str]:
    words = shlex.split(line)
    assert words[0] == ".venv/bin/python"
    return [sys.executable, *words[1:]]


def merged(tree: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """One TOML tree on top of another."""
    for key, one in more.items():
        tree[key] = merged(tree.get(key, {}), one) if isinstance(one, dict) else one
    return tree


def load(name: str, path: Path) -> ModuleType:
    """A module from a file, under a name of its own."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file that the pages on sources, models and shops name, and a log of the shop's form."""
    folder = tmp_path_factory.mktemp("workshop")
    for page in ("add_a_source.md", "add_a_model.md", "add_a_shop.md"):
        for name, text in files_of(page).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    shop = folder / "configs" / "corner.toml"
    fragments = [text for page in ("add_a_source.md", "add_a_model.md") for text in blocks(page, "toml")]
    assert len(fragments) == 2
    shop.write_text("\n".join([shop.read_text(), *fragments]))
    data = folder / "data" / "corner"
    data.mkdir(parents=True)
    write_log(data / "log.csv")
    return folder


def write_log(path: Path) -> None:
    """A log whose items follow each other on a ring, with the header, types and way of writing of the page's sample."""
    (sample,) = blocks("add_a_shop.md", "csv")
    shown = pl.read_csv(sample.encode(), try_parse_dates=True)
    rng = np.random.default_rng(0)
    n_sessions, length, n_items = 500, 6, 40
    n = n_sessions * length
    steps = rng.choice([0, 1, 2], n, p=[0.2, 0.6, 0.2]).reshape(n_sessions, length).cumsum(axis=1)
    items = (rng.integers(0, n_items, (n_sessions, 1)) + steps).ravel() % n_items
    starts = np.datetime64("2024-03-01T00:00:00") + np.sort(rng.integers(0, 10 * 86_400, n_sessions))
    when = np.repeat(starts, length) + np.tile(np.arange(length) * 40, n_sessions).astype("timedelta64[s]")
    what = rng.choice(["view", "addtocart", "transaction"], n, p=[0.6, 0.2, 0.2])
    assert set(shown["what"]) == set(what.tolist())
    names = [*sorted(set(shown["product"])), *(f"item{i}" for i in range(n_items))][:n_items]
    columns = {"visitor": np.repeat(np.arange(n_sessions) % 300, length), "product": np.array(names)[items]}
    frame = pl.DataFrame({**columns, "when": when.astype("datetime64[ms]"), "what": what})
    assert frame.columns == shown.columns
    frame.with_columns(pl.col("when").dt.strftime("%Y-%m-%dT%H:%M:%S")).write_csv(path)


def test_every_command_is_of_a_kind_that_is_tested_here() -> None:
    kinds = ("make run ", ".venv/bin/python -m scripts.", ".venv/bin/python -m pytest -q tests/")
    assert [line for page in PAGES for line in commands(page.name) if not line.startswith(kinds)] == []


def test_the_source_and_the_model_keep_their_contracts(workshop: Path) -> None:
    lines = [*commands("add_a_source.md"), *commands("add_a_model.md")]
    tests = [shlex.split(line)[-1] for line in lines]
    assert len(tests) == 2
    shared = ["-p", "tests.candidates.conftest", "-p", "tests.models.conftest", "-p", "no:cacheprovider"]
    done = run([sys.executable, "-m", "pytest", "-q", "-W", "error", *shared, *tests], workshop)
    assert done.returncode == 0, done.stdout
    assert int(re.findall(r"(\d+) passed", done.stdout)[-1]) >= 20


def test_the_shop_from_its_file_to_an_answer(workshop: Path) -> None:
    lines = commands("add_a_shop.md")
    assert [shlex.split(line)[2] for line in lines].count("scripts.run") == 2
    for line in lines:
        sets = [word for one in SMALL for word in ("--set", one)] if "--config" in line else []
        done = run([*python(line), *sets], workshop)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        if "scripts.recommend" in line:
            assert "followers" in done.stdout
    folder = workshop / "runs" / "corner"
    scores = json.loads((folder / "validation" / "scores.json").read_text())
    ladder = scores["ladder"]
    assert ladder["popularity"]["total"] < ladder["ranker"]["total"]
    for name in ("followers", "random_indexing"):
        assert scores["candidate_recall"][name]["20"] > 0.3
    written = pl.read_csv(folder / "submission" / "submission.csv")
    sessions = pl.read_parquet(folder / "prepared" / "submission" / "target_ids.parquet")
    assert written.height == 3 * sessions.height
    assert sessions.height >= 500


def test_the_feature_equals_its_twin_and_joins_the_builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = files_of("add_a_feature.md")
    assert set(files) == {"features/after_last.py", "tests/features/test_after_last.py"}
    for name, text in files.items():
        (tmp_path / Path(name).name).write_text(text)
    for name in ("features.after_last", "assemble_with_it", "twin_of_it"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))  # whatever takes the name goes with the test
    load("features.after_last", tmp_path / "after_last.py")
    twin = load("twin_of_it", tmp_path / "test_after_last.py")
    for seed in range(20):
        twin.test_the_block_equals_its_twin(seed)

    source = (ROOT / "features" / "assemble.py").read_text()
    (diff,) = blocks("add_a_feature.md", "diff")
    for hunk in diff.split("@@\n")[1:]:
        before = "".join(line[1:] for line in hunk.splitlines(keepends=True) if line[0] in " -")
        after = "".join(line[1:] for line in hunk.splitlines(keepends=True) if line[0] in " +")
        assert source.count(before) == 1, hunk
        source = source.replace(before, after)
    (tmp_path / "assemble.py").write_text(source)
    builder_class = load("assemble_with_it", tmp_path / "assemble.py").FeatureBuilder
    chunk, settings = random_chunk(3, frozenset(), n_items=6), FeaturesSettings()
    builder = builder_class(settings, frozenset(), chunk.candidates.names, fit_items(chunk.log, settings), {})
    matrix = builder.build(chunk.log, chunk.candidates, Arena())
    column = matrix[:, builder.names.index("pair_after_last")]
    np.testing.assert_array_equal(column, twin.twin(chunk).to_numpy())
    assert column.any()


def test_the_examples_of_the_metric() -> None:
    text = "\n".join(blocks("metric.md", "python"))
    examples = doctest.DocTestParser().get_doctest(text, {}, "metric.md", None, 0)
    assert len(examples.examples) >= 25
    assert doctest.DocTestRunner().run(examples).failed == 0


def test_the_commands_that_want_the_kaggle_data_are_right_as_far_as_can_be_told() -> None:
    lines = commands("tuning_otto.md")
    assert len(lines) >= 8
    for line in lines:
        words = shlex.split(line)
        if words[0] == "make":
            done = run([*words, "--dry-run"], ROOT)
            assert done.returncode == 0, done.stderr
            continue
        module = ROOT.joinpath(*words[2].split(".")).with_suffix(".py")
        source = module.read_text() + (ROOT / "scripts" / "cli.py").read_text()
        for flag in (word for word in words if word.startswith("--")):
            assert f'"{flag}"' in source, line
        if "--config" in words:
            sets = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
            load_settings(ROOT / words[words.index("--config") + 1], sets)


def test_the_settings_of_the_tuning_guide() -> None:
    tree = tomllib.loads((ROOT / "configs" / "otto.toml").read_text())
    for text in blocks("tuning_otto.md", "toml"):
        merged(tree, tomllib.loads(text))
    settings = Settings.model_validate(tree)
    assert settings.candidates.recipes == TWENTY
    assert set(TWENTY) > set(DEFAULT_RECIPES)
    assert settings.rankers.stacking
    assert settings.split.earlier_weeks == 1
    on = {name for name, one in settings.models.retrievers.items() if one.on}
    assert on == {"item2vec"}


def test_what_the_tuning_guide_switches_on_by_key_is_there() -> None:
    text = (DOCS / "tuning_otto.md").read_text(encoding="utf-8")
    keys = re.findall(r"`--set ([\w.]+=\S+?)`", text)
    assert keys
    for key in keys:
        load_settings(ROOT / "configs" / "otto.toml", [key])


def test_the_page_of_settings_is_current() -> None:
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == markdown(), "run python -m scripts.settings_table"


def test_every_setting_is_on_the_page_and_says_what_it_does() -> None:
    sections = Table(Settings).sections
    assert [f"{one.title}: {row.key}" for one in sections for row in one.rows if not row.effect] == []
    assert len({one.title for one in sections}) == len(sections)
    rows = {(one.title, row.key): row for one in sections for row in one.rows}
    assert rows["[split]", "days"].default == "`7`"
    assert rows["[split]", "days"].takes == "number > 0"
    assert rows["[split]", "earlier_weeks"].takes == "whole number ≥ 0, ≤ 3"
    assert "held-out period" in rows["[split]", "days"].effect
    assert rows["[rankers]", "mode"].takes == '`"per_target"`, `"multi_target"`, `"both"`'
    assert rows['[candidates.sources.NAME] kind = "neighbours"', "matrix"].default == "must be given"
    assert rows["[features]", "fusion"].effect.startswith("k of reciprocal rank fusion")
    for kind in ("history", "custom", "knowledge", "walks"):
        assert (f'[candidates.sources.NAME] kind = "{kind}"', "k") in rows
    for kind in ("item2vec", "two_tower", "als", "custom"):
        assert (f'[models.retrievers.NAME] kind = "{kind}"', "on") in rows


def test_no_words_are_kept_for_settings_that_speak_for_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    used = Used(WORDS)
    monkeypatch.setattr(settings_table, "WORDS", used)
    Table(Settings)
    assert used.unused == set()


class Used(dict[str, str]):
    """Remembers which of its keys nobody asked for."""

    def __init__(self, words: Mapping[str, str]) -> None:
        super().__init__(words)
        self.unused = set(words)

    def __getitem__(self, key: str) -> str:
        self.unused.discard(key)
        return super().__getitem__(key)


def test_links_and_named_files_exist() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)]+)\)", text):
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            assert target.exists(), f"{page.name}: {link}"
            if anchor:
                titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
                assert anchor in {settings_table.slug(title) for title in titles}, f"{page.name}: {link}"
    named = re.findall(r"`((?:candidates|models|features|submissions|configs|benchmarks)/[\w/]+\.\w+)`",
                       "".join(page.read_text(encoding="utf-8") for page in PAGES))  # fmt: skip
    own = {"configs/otto_both.toml", "features/after_last.py"}
    assert [name for name in named if name not in own and not (ROOT / name).exists()] == []
