"""Score a predictions file against a labels file, as the competition does.

python -m scripts.score --labels labels.jsonl --predictions predictions.csv [--k 20]
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from events.errors import InputError
from submissions.official import score_files


def main(argv: Sequence[str] | None = None) -> int:
    """Print one JSON line, the recall of each target and the total; return the exit code, 2 for a user's mistake."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.score",
        usage=argparse.SUPPRESS,
        description=__doc__,
        epilog="example: python -m scripts.score --labels labels.jsonl --predictions submission.csv",
    )
    parser.add_argument("--labels", type=Path, required=True, help="JSON lines: session and its labels")
    parser.add_argument("--predictions", type=Path, required=True, help="CSV: session_type,labels")
    parser.add_argument("--k", type=int, default=20, help="how many items of a row count (20)")
    arguments = parser.parse_args(argv)
    try:
        if arguments.k < 1:
            raise InputError("--k", None, f"{arguments.k} items cannot be scored", "give a number from 1")
        scores = score_files(arguments.labels, arguments.predictions, arguments.k)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps({**scores.recall, "total": scores.total}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
