"""The exported folder needs nothing but itself: it is opened alone, and its Dockerfile and head name what is there."""

import ast
import json
import re
import shutil
import sys
from importlib.metadata import requires
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from packaging.requirements import Requirement

from events.compiled import FLOORS, ROOT
from events.errors import InputError
from events.passes import PassData
from rankers.opening import rerank_settings
from rankers.rerank import RerankSettings
from scripts.demo import __main__ as command
from scripts.demo.export import export
from scripts.demo.export_data import copy_run, few_sessions, goes_by_number
from scripts.demo.export_program import LOCKS, TEST_TOOLS, imported_scripts, locked, needs, normal, pins
from scripts.demo.export_texts import SDKS
from tests.demo.alone import Alone
from tests.demo.conftest import EVIL


@pytest.fixture(scope="module")
def exported(alone: Alone) -> Path:
    return alone.space


def test_it_is_opened_by_itself_and_gives_the_lists_of_the_run(alone, exported, shop):
    answered = alone.said
    ours = [name for name in answered["files"] if "/site-packages/" not in name and str(exported) in name]
    assert len(ours) > 50
    others = [name for name in answered["files"] if str(ROOT) in name and "/site-packages/" not in name]
    assert others == []
    wanted = shop.recommender.recommend_session(answered["session"])
    assert answered["lists"] == {target: one.items for target, one in wanted.items()}


def test_sizes_are_those_of_the_files(alone, exported):
    assert alone.sizes["all"] == sum(path.stat().st_size for path in exported.rglob("*") if path.is_file())
    assert alone.sizes["run"] < alone.sizes["all"] < 20_000_000


def test_only_what_is_asked_goes_along(alone, exported, folder):
    run = exported / "run"
    there = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    parquets = {name for name in there if name.endswith(".parquet")}  # Polars opens them on its own
    assert parquets == {"prepared/items.parquet", "prepared/submission/target_ids.parquet"}
    manifests = {name for name in there if name.endswith("manifest.json")}  # asked whether they are there
    assert len(alone.opened) > 50
    assert there == alone.opened | parquets | manifests
    text = "".join((run / name).read_text() for name in there if name.endswith(".json"))
    assert str(folder.parent) not in text
    assert "inputs" not in text


def test_lists_are_reranked_as_those_of_the_run(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("scripts.demo.export_data.rerank_settings", lambda _run, _name: RerankSettings(mmr=0.3))
    copy_run(folder, tmp_path / "run", "submission")
    assert rerank_settings(tmp_path / "run", "submission") == RerankSettings(mmr=0.3)


def test_few_sessions_are_a_smaller_pass(shop):
    data = shop.recommender._data
    few = few_sessions(data, 30)
    assert few.n_targets == len(few.log) == len(few.target_ids) == 30
    assert few.n_train == 0
    assert few.labels is None
    assert few.log.sessions.tolist() == list(range(30))
    rows = {one: row for row, one in enumerate(data.target_ids.to_list())}
    for place, name in enumerate(few.target_ids.to_list()):
        one, same = few.log.slice(place, place + 1), data.target_log.slice(rows[name], rows[name] + 1)
        assert np.array_equal(one.aids, same.aids)
        assert np.array_equal(one.types_or_empty, same.types_or_empty)
        assert np.array_equal(one.ts_or_empty, same.ts_or_empty)
        assert one.groups.tolist() == same.groups.tolist()
    assert few_sessions(data, 10**6).n_targets == np.count_nonzero(data.target_log.lengths)


def test_a_pass_stays_whole_where_something_goes_by_its_numbers(folder, tmp_path):
    assert not goes_by_number(folder, "submission")
    run = tmp_path / "run"
    shutil.copytree(folder, run)
    manifest = run / "submission" / "features" / "manifest.json"
    facts = json.loads(manifest.read_text())
    facts["settings"]["candidates"]["sources"]["mine"] = {"kind": "external", "path": "mine.parquet"}
    manifest.write_text(json.dumps(facts))
    assert goes_by_number(run, "submission")
    copy_run(run, tmp_path / "copy", "submission")
    copy, data = (PassData.load(one / "prepared" / "submission") for one in (tmp_path / "copy", run))
    assert (copy.n_train, len(copy.log), copy.labels) == (data.n_train, len(data.log), None)
    assert np.array_equal(copy.log.aids, data.log.aids)


def test_every_import_of_the_program_is_in_the_folder(exported):
    packages = (*FLOORS, "scripts")
    for path in [*exported.rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in packages:
                module = exported / Path(*node.module.split("."))
                assert module.with_suffix(".py").exists() or (module / "__init__.py").exists(), (path, node.module)
    assert not (exported / "scripts" / "tune.py").exists()
    assert not list(exported.rglob("__pycache__"))
    names = [path.name for path in imported_scripts(ROOT / "scripts", "demo")]
    assert {"__init__.py", "recommend.py", "cli.py", "pipeline.py"} <= set(names)


def test_the_dockerfile_copies_what_there_is_and_runs_a_module_that_there_is(exported):
    lines = (exported / "Dockerfile").read_text().splitlines()
    copies = [line.split()[1:] for line in lines if line.startswith("COPY ")]
    sources = [words[-2] for words in copies]
    assert {*FLOORS, "scripts", "run", "app.py", "requirements.txt"} == set(sources)
    assert all((exported / source).exists() for source in sources)
    python, option, module = ast.literal_eval(lines[-1].removeprefix("CMD "))
    assert (python, option) == ("python", "-m")
    assert (exported / f"{module}.py").exists()
    assert lines.index("USER visitor") > lines.index("RUN pip install --no-cache-dir --requirement requirements.txt")
    assert "ENV GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=7860" in lines
    assert f"FROM python:{sys.version_info.major}.{sys.version_info.minor}-slim" in lines


def test_the_head_says_what_the_hosting_space_wants(exported):
    _, head, text = (exported / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    facts = dict(line.split(": ", 1) for line in head.splitlines())
    assert facts["sdk"] == "docker"
    assert f"EXPOSE {facts['app_port']}" in (exported / "Dockerfile").read_text().splitlines()
    assert re.search(r"\(\d+\.\d MB\)", text)
    assert set(SDKS) == {"gradio", "docker"}
    assert (exported / "packages.txt").read_text() == "libgomp1\n"
    other = dict(line.split(": ", 1) for line in SDKS["gradio"].splitlines())
    assert (exported / other["app_file"]).exists()
    assert "*.npy filter=lfs" in (exported / ".gitattributes").read_text()


def test_requirements_are_exact_and_those_of_the_lock_files(exported):
    lines = (exported / "requirements.txt").read_text().split()
    every = {line for path in LOCKS for line in (ROOT / path).read_text().split()}
    assert set(lines) <= every
    named = [normal(line.partition("==")[0]) for line in lines]
    assert len(set(named)) == len(named)
    assert {"gradio", "polars", "numba", "numpy", "pydantic", "lightgbm"} <= set(named)
    assert not {*TEST_TOOLS, "pytest", "mypy", "optuna", "torch"} & set(named)
    project = dict(line.split("==") for line in (ROOT / LOCKS[0]).read_text().split())
    differs = {line for line in lines if project.get(line.split("==")[0], line.split("==")[1]) != line.split("==")[1]}
    assert {line.split("==")[0] for line in differs} == {"pillow"}
    more = {line.partition("==")[0] for line in pins(["torch"], locked())}
    assert {"torch", "sympy", "gradio"} <= more
    assert "llvmlite" in needs("numba")
    assert needs("no-such-package") == []


@pytest.mark.skipif(find_spec("gradio") is None, reason="Gradio, an extra, is not installed: make test-demo")
def test_requirements_are_all_that_gradio_needs(exported):
    pinned = {
        normal(name): version
        for name, _, version in (line.partition("==") for line in (exported / "requirements.txt").read_text().split())
    }
    waiting, seen = ["gradio"], set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        for one in map(Requirement, requires(name) or ()):
            if one.marker is None or one.marker.evaluate({"extra": ""}):
                assert normal(one.name) in pinned, f"{name} needs {one}"
                assert one.specifier.contains(pinned[normal(one.name)], prereleases=True), f"{name} needs {one}"
                if normal(one.name) not in seen:
                    waiting.append(normal(one.name))


def test_what_cannot_be_opened_alone_is_not_written(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("scripts.demo.export.copy_run", lambda *_: None)
    with pytest.raises(InputError, match="cannot be asked"):
        export(folder, tmp_path / "space")
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_the_size(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "export", lambda run, space, sdk: {"run": 2_000_000, "all": 4_500_000})
    assert command.main(["--run", str(folder), "--export", str(tmp_path / "space")]) == 0
    assert f"{tmp_path / 'space'}: 4.5 MB, of which the run is 2.0 MB" in capsys.readouterr().out


def test_names_that_would_be_markup_are_still_names_there(exported):
    texts = pl.read_parquet(exported / "run" / "prepared" / "items.parquet")["text"].drop_nulls()
    assert texts.str.starts_with(EVIL).any()
