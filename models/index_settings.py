"""Settings of the index."""

from typing import Annotated

from pydantic import Field

from events.settings import Frozen


class IndexSettings(Frozen):
    """How a retriever's items are searched."""

    recall: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Share of the exact list that a search should find, on a sample of sessions; 1 searches exactly."""
    exact_up_to: Annotated[int, Field(ge=0)] = 200_000
    """So many items are searched exactly, whatever the recall asked for."""
    sample: Annotated[int, Field(ge=1, le=100_000)] = 500
    """Sessions that the recall is measured on."""
    gpu: bool = False
    """Whether many items are searched by brute force on GPUs, where FAISS was built for them and finds any."""
