import numpy as np

from benchmarks.targets import unseen_rows
from events.labels import LabelSet
from events.log import SessionLog


def test_rows_whose_next_item_is_new_to_them() -> None:
    rng = np.random.default_rng(3)
    rows = [rng.integers(0, 9, rng.integers(0, 6)).tolist() for _ in range(200)]
    wanted = [rng.choice(12, 1).tolist() if rng.random() < 0.9 else [] for _ in rows]
    log, labels = SessionLog.of(rows, n_items=12), LabelSet.of(wanted)
    slow = [s for s, (row, label) in enumerate(zip(rows, wanted, strict=True)) if label and label[0] not in row]
    assert 20 < len(slow) < 190
    assert unseen_rows(log.offsets, log.aids, labels).tolist() == slow
