"""The stage that fits retrievers: what it leaves, what it makes again, and what it says."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from models.svd import Svd
from scripts import prepare, retrievers
from scripts.pipeline import MANIFEST
from tests.models.typed import TypedSvd
from tests.scripts.commands import ROOT

CONFIG = """
threads = 2
runs = "{runs}"
[data]
kind = "shop"
[shop]
train_sessions = 1500
[models]
defaults = false
[models.retrievers]
svd = {{kind = "svd", on = true, dim = 8}}
typed = {{kind = "custom", retriever = "{typed}"}}
timed = {{kind = "custom", retriever = "tests.scripts.test_retrievers:Timed"}}
"""


class Stumbling(TypedSvd):
    """Fails half-way."""

    def fit(self, log: Any) -> Any:
        raise KeyboardInterrupt


class Nothing:
    """No retriever."""

    def __init__(self, name: str, options: Any) -> None:
        pass


class Timed(TypedSvd):
    """Needs what no shop has."""

    def __init__(self, name: str, options: Any) -> None:
        super().__init__(name)
        self.needs = frozenset({"items"})


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("retrievers")
    path = folder / "small.toml"
    path.write_text(CONFIG.format(runs=folder / "runs", typed="tests.models.typed:TypedSvd"))
    assert prepare.main(["--config", str(path)]) == 0
    return path


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the retrievers in the order in which they are fitted."""
    names: list[str] = []
    fit = Svd.fit

    def noted(self: Svd, log: Any) -> Svd:
        names.append(self.name)
        return fit(self, log)

    monkeypatch.setattr(Svd, "fit", noted)
    return names


def stage(config: Path, *more: str) -> int:
    return retrievers.main(["--config", str(config), "--pass", "validation", *more])


def folder_of(config: Path) -> Path:
    return config.parent / "runs" / "small" / "validation" / "retrievers"


def test_each_is_fitted_once_and_again_only_if_it_must(
    config: Path, fits: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert stage(config) == 0
    assert fits == ["svd", "typed"]
    out = capsys.readouterr().out
    assert "without retriever timed: the shop has no items" in out
    assert "svd: fitted in" in out
    assert "all scanned" in out
    manifest = json.loads((folder_of(config) / MANIFEST).read_text())
    assert manifest["retrievers"]["svd"]["recall"] == 1.0
    assert manifest["left_out"] == {"timed": "the shop has no items"}

    assert stage(config) == 0
    assert "up to date" in capsys.readouterr().out
    assert stage(config, "--set", "models.retrievers.svd.decay=0.5") == 0
    assert fits == ["svd", "typed", "svd"]
    assert "typed: up to date" in capsys.readouterr().out
    assert stage(config, "--set", "models.retrievers.svd.decay=0.5", "--set", "models.retrievers.typed.on=false") == 0
    assert fits == ["svd", "typed", "svd"]
    assert sorted(path.name for path in folder_of(config).iterdir()) == [MANIFEST, "svd"]
    assert stage(config, "--set", "models.seed=3") == 0
    assert fits == ["svd", "typed", "svd", "svd", "typed"]


def test_a_deeper_source_is_indexed_anew_and_an_inverted_file_says_its_recall(
    config: Path, fits: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    many = ("--set", "models.index.exact_up_to=0", "--set", "models.index.recall=0.8")
    assert stage(config, *many) == 0
    assert "items, indexed in" in capsys.readouterr().out
    made = json.loads((folder_of(config) / "svd" / "made.json").read_text())
    assert not made["exact"]
    assert made["recall"] >= 0.8
    assert stage(config, *many, "--set", "models.retrievers.svd.k=60") == 0
    assert fits[-1] == "svd"


def test_a_killed_stage_goes_on_where_it_was(config: Path, fits: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    seed = ("--set", "models.seed=5")
    stumbling = ("--set", "models.retrievers.typed.retriever='tests.scripts.test_retrievers:Stumbling'")
    assert stage(config, *seed, *stumbling) == 130
    assert fits == ["svd"]
    assert stage(config, *seed) == 0
    assert fits == ["svd", "typed"]
    assert "svd: up to date" in capsys.readouterr().out
    assert [path.name for path in folder_of(config).parent.iterdir() if path.name.startswith("retrievers")] == [
        "retrievers"
    ]


def test_two_at_once_are_what_each_alone_is(config: Path, fits: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    seed, twice = ("--set", "models.seed=7"), ("--set", "fits_at_once=2")
    assert stage(config, *seed) == 0
    alone = {path: path.read_bytes() for path in folder_of(config).rglob("*.npy")}
    assert alone
    shutil.rmtree(folder_of(config))
    assert stage(config, *seed, *twice) == 0
    assert fits == ["svd", "typed"]  # the second time in other processes
    assert {path: path.read_bytes() for path in folder_of(config).rglob("*.npy")} == alone
    capsys.readouterr()
    assert stage(config, *seed) == 0
    assert "up to date" in capsys.readouterr().out  # how many at once decides nothing
    stumbling = ("--set", "models.retrievers.typed.retriever='tests.scripts.test_retrievers:Stumbling'")
    assert stage(config, "--set", "models.seed=8", *twice, *stumbling) == 130


def test_one_alone_is_taken_by_the_stage(config: Path, fits: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    seed = ("--set", "models.seed=6")
    assert stage(config, *seed, "--model", "typed") == 0
    assert fits == ["typed"]
    assert stage(config, *seed) == 0
    assert fits == ["typed", "svd"]
    capsys.readouterr()
    for more, words in (
        (("--model", "nobody"), "--model nobody: no such retriever. Remedy: the settings name svd, typed, timed"),
        (("--model", "timed"), "the shop has no items"),
        (("--model", "svd", "--set", "models.retrievers.svd.on=false"), "models.retrievers.svd.on=true"),
    ):
        assert stage(config, *seed, *more) == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("candidates.sources.mine={kind='retriever', retriever='nobody'}", "the retriever 'nobody'"),
        ("candidates.sources.svd={kind='history'}", "the retriever 'svd' has the name of a source"),
        ("candidates.sources.typed_carts={kind='history'}", "the name of a column of source 'typed'"),
        ("models.retrievers.svd.dims=3", "unknown key"),
        (
            "models.retrievers.mine={kind='custom', retriever='tests.scripts.test_retrievers:Nothing'}",
            "models.retrievers.mine",
        ),
    ],
)
def test_mistakes_are_one_line(config: Path, assignment: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert stage(config, "--set", assignment) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert words in err


def test_no_stage_imports_torch_before_a_model_asks_for_it() -> None:
    words = "import sys, scripts.all_stages; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", words], cwd=ROOT, check=False).returncode == 0


def test_processes_of_torchrun_make_one_part(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training = "{epochs = 1, batch_tokens = 512, device = 'cpu', threads = 1}"
    model = f"models.retrievers.small={{kind = 'gru4rec', dim = 8, hidden = 8, training = {training}}}"
    asked = ["--config", str(config), "--pass", "validation", "--model", "small", "--set", model]
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--master-addr=127.0.0.1"]
    launcher += ["--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "-m", "scripts.retrievers"]
    done = subprocess.run(
        [sys.executable, *launcher, *asked], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("small: fitted in") == 1
    assert retrievers.main(asked) == 0
    assert "small: up to date" in capsys.readouterr().out
