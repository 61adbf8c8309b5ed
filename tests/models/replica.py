"""What each process of the data-parallel test does: train, and write down what it came to."""

import hashlib
import json
import sys
from pathlib import Path

from torch import distributed

from models.gru4rec import GRU4Rec
from models.training_settings import GRU4RecSettings
from tests.models.test_sequence import quick
from tests.models.worlds import chain_log


def main(folder: Path) -> None:
    """Train on half of the batches; write digests of the vectors as ``<rank>.json``."""
    distributed.init_process_group("gloo")
    log = chain_log(300, seed=5)
    model = GRU4Rec("g", GRU4RecSettings(**quick(3))).fit(log)
    found = {
        "size": distributed.get_world_size(),
        "items": hashlib.sha256(model.item_vectors().tobytes()).hexdigest(),
        "sessions": hashlib.sha256(model.session_vectors(log).tobytes()).hexdigest(),
        "tokens": [epoch.tokens for epoch in model.history],
        "losses": [epoch.loss for epoch in model.history],
    }
    (folder / f"{distributed.get_rank()}.json").write_text(json.dumps(found))
    distributed.barrier()
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
