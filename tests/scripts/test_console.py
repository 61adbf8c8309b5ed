"""What a user sees at the console: help with an example, mistakes in one line, a check of the machine, last words."""

import errno
import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from scripts import doctor
from scripts.cli import guarded
from scripts.closing import where_things_are
from scripts.pipeline import Run
from scripts.settings import Settings, load_settings
from tests.scripts.commands import ROOT

COMMANDS = sorted(
    path.stem for path in (ROOT / "scripts").glob("*.py") if "def main(" in path.read_text(encoding="utf-8")
)


def test_the_stages_are_among_the_commands():
    assert {"prepare", "rank", "submit", "run", "recommend", "doctor", "score", "tune"} <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_an_example(name, capsys):
    with pytest.raises(SystemExit) as left:
        importlib.import_module(f"scripts.{name}").main(["--help"])
    assert left.value.code == 0
    assert re.search(rf"example: python -m scripts\.{name} \S", capsys.readouterr().out)


@pytest.mark.parametrize(
    "arguments", [["run"], ["covisit", "--config"], ["recommend", "--run", "x"], ["blend"], ["compare", "a"]]
)
def test_a_wrong_command_line_is_one_line(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        importlib.import_module(f"scripts.{arguments[0]}").main(arguments[1:])
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.endswith(f"python -m scripts.{arguments[0]} --help.\n")
    assert error.count("\n") == 1


def raising(error: BaseException):
    def work() -> None:
        raise error

    return work


def test_what_the_machine_refuses_is_one_line(capsys):
    for error, words in (
        (OSError(errno.ENOSPC, "No space left on device", "x.npy"), "error: x.npy: No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "runs"), "error: runs: Permission denied"),
        (MemoryError(), "error: the memory does not suffice"),
    ):
        assert guarded(raising(error)) == 2
        said = capsys.readouterr().err
        assert said.startswith(words)
        assert "Remedy: " in said
        assert said.count("\n") == 1
    with pytest.raises(OSError, match="odd"):
        guarded(raising(OSError(errno.EINVAL, "odd")))


def test_the_last_words_name_what_is_there(tmp_path):
    run = Run(Settings(), tmp_path / "runs" / "x")
    assert where_things_are(run) == f"everything is in {run.folder}"
    for name in ("submission/submission.csv", "validation/rank/models/importances.csv"):
        (run.folder / name).parent.mkdir(parents=True)
        (run.folder / name).touch()
    lines = where_things_are(run).splitlines()
    assert [line.split()[0] for line in lines[:-1]] == [
        str(run.folder / "submission/submission.csv"),
        str(run.folder / "validation/rank/models/importances.csv"),
    ]
    assert f"scripts.recommend --run {run.folder}" in lines[-1]


class TestDoctor:
    def test_a_sound_machine(self, monkeypatch, tmp_path, capsys):
        monkeypatch.setattr(doctor, "free_gib", lambda: 64.0)
        monkeypatch.setattr(doctor, "check_gpu", lambda _: doctor.Finding("GPU", "none"))
        monkeypatch.setattr(doctor, "check_packages", lambda: doctor.Finding("packages", "as they should be"))
        assert doctor.main(["--set", f"runs={tmp_path}", "--set", "shop.train_sessions=1000"]) == 0
        said = capsys.readouterr().out
        assert "BAD" not in said
        assert said.endswith("all is well\n")

    def test_each_defect_has_its_remedy(self, monkeypatch, tmp_path, capsys):
        monkeypatch.setattr(doctor, "free_gib", lambda: 1.0)
        monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=1e9))
        config = tmp_path / "x.toml"
        config.write_text('[data]\nkind = "otto"\nroot = "nowhere"\ntrain = "train.jsonl"\n')
        assert doctor.main(["--config", str(config), "--set", f"runs={tmp_path}"]) == 1
        said = capsys.readouterr().out
        assert [line.split()[1] for line in said.splitlines() if line.startswith("BAD")] == ["memory", "disk", "data"]
        assert said.count("remedy:") == 3
        assert said.endswith("3 to be mended\n")

    def test_a_wrong_config_is_a_defect(self, tmp_path, capsys):
        config = tmp_path / "x.toml"
        config.write_text("sead = 1\n")
        assert doctor.main(["--config", str(config)]) == 1
        said = capsys.readouterr().out
        assert f"{config}:1: unknown key sead" in said
        assert "remove it" in said

    def test_packages_are_held_against_the_lock(self, tmp_path):
        lock = tmp_path / "requirements.lock"
        lock.write_text("pytest==0.0.1\nno-such-package-here==1.0\n")
        found = doctor.check_packages(lock)
        assert "pytest is " in found.found
        assert "not 0.0.1" in found.found
        assert "no-such-package-here is missing" in found.found
        assert found.remedy is not None
        lock.write_text(f"pytest=={pytest.__version__}\n")
        assert doctor.check_packages(lock) == doctor.Finding("packages", "1 as in requirements.lock")
        assert doctor.check_packages(tmp_path / "none").remedy is not None

    def test_memory_within_a_container(self, tmp_path):
        (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   8388608 kB\n")
        assert doctor.free_gib(tmp_path / "meminfo", tmp_path) == 8.0
        (tmp_path / "memory.current").write_text(f"{2**30}\n")
        (tmp_path / "memory.max").write_text("max\n")
        assert doctor.free_gib(tmp_path / "meminfo", tmp_path) == 8.0
        (tmp_path / "memory.max").write_text(f"{3 * 2**30}\n")
        assert doctor.free_gib(tmp_path / "meminfo", tmp_path) == 2.0
        assert doctor.free_gib(tmp_path / "none") is None

    def test_data_files(self, tmp_path):
        config = tmp_path / "x.toml"
        config.write_text(f'[data]\nkind = "otto"\nroot = "{tmp_path}"\ntrain = "a.jsonl"\ntest = "b.jsonl"\n')
        (tmp_path / "a.jsonl").write_text("x" * 88_000)
        (tmp_path / "b.jsonl").touch()
        settings = load_settings(config, [])
        good, empty = doctor.check_data(settings)
        assert (good.remedy, good.found) == (None, f"{tmp_path / 'a.jsonl'}, 0.1 MB")
        assert "is empty" in empty.found
        assert doctor.sessions_of(settings) == 100

    def test_it_speaks_where_packages_are_missing(self):
        """No package is imported before the packages were looked at."""
        code = (
            "import sys; import scripts.doctor; print([m for m in ('numpy', 'polars', 'pydantic') if m in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"


def test_bars_are_for_terminals_only():
    """Every progress bar is off, or decides by itself whether there is a terminal."""
    hidden = re.compile(r"disable=(None|hidden|disable|_disable\(progress\)|None if \w[\w.]* else True)[,)\s]")
    for floor in ("events", "models", "candidates", "features", "rankers", "scripts"):
        for path in sorted((ROOT / floor).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            calls = len(re.findall(r"\btqdm\(", text))
            assert len(hidden.findall(text)) >= calls, Path(path).relative_to(ROOT)
