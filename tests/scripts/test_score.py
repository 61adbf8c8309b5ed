"""The command that scores two files."""

import json
from pathlib import Path

import pytest

from scripts.score import main


def test_prints_one_json_line_with_the_official_scores(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shared_data / "official_golden"
    arguments = ["--labels", str(folder / "labels.jsonl"), "--predictions", str(folder / "predictions.csv")]
    expected = json.loads((folder / "scores.json").read_text())
    for k in ("5", "20"):
        assert main([*arguments, "--k", k]) == 0
        out, err = capsys.readouterr()
        assert out.count("\n") == 1
        assert json.loads(out) == expected[k]
        assert err == ""


def test_absent_targets_are_null(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, predictions = tmp_path / "labels.jsonl", tmp_path / "predictions.csv"
    labels.write_text('{"session": 1, "labels": {"clicks": 4}}\n{"session": 2, "labels": {"clicks": 5}}\n')
    predictions.write_text("session_type,labels\n1_clicks,4\n")
    assert main(["--labels", str(labels), "--predictions", str(predictions)]) == 0
    assert capsys.readouterr().out == '{"clicks": 0.5, "carts": null, "orders": null, "total": 0.5}\n'


@pytest.mark.parametrize(
    ("labels", "predictions", "k", "message"),
    [
        (None, "session_type,labels\n", "20", "labels.jsonl: no such file"),
        ('{"session": 1, "labels": {}}\n{"sess', "session_type,labels\n", "20", "labels.jsonl:2: not JSON"),
        ('{"session": 1, "labels": {}}\n', "session_type,labels\n1_clicks,a\n", "20", "predictions.csv:2: item 'a'"),
        ('{"session": 1, "labels": {}}\n', "session_type,labels\n", "0", "--k: 0"),
    ],
)
def test_a_users_mistake_is_one_line_and_code_2(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    labels: str | None,
    predictions: str,
    k: str,
    message: str,
) -> None:
    if labels is not None:
        (tmp_path / "labels.jsonl").write_text(labels)
    (tmp_path / "predictions.csv").write_text(predictions)
    paths = ["--labels", str(tmp_path / "labels.jsonl"), "--predictions", str(tmp_path / "predictions.csv")]
    assert main([*paths, "--k", k]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
    assert "Remedy: " in err


def test_a_missing_argument_is_one_line_and_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--labels", "x"])
    assert caught.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
