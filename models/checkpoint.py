"""States of training and of models on disk: a folder of plain arrays and one JSON file, whole or absent."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from events.errors import InputError
from events.files import atomic_folder, need_array, read_json, write_json

META = "state.json"

State = dict[str, Any]
"""Nested dicts of tensors, numbers, strings, lists and ``None``."""


def save_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Write a state as ``folder``: each tensor one ``.npy`` file, the rest in ``state.json``."""
    with atomic_folder(folder) as beside:
        write_state(beside, state)


def write_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Write a state into an existing folder."""
    tensors: list[torch.Tensor] = []
    meta = _without_tensors(state, tensors)
    for number, tensor in enumerate(tensors):
        np.save(folder / f"{number}.npy", tensor.detach().cpu().numpy(), allow_pickle=False)
    write_json(folder / META, meta)


def load_state(folder: Path) -> State:
    """Read what :func:`save_state` wrote.

    Raises
    ------
    InputError
        If a file is missing or the state is not one.
    """
    meta = read_json(folder / META)
    if not isinstance(meta, dict):
        raise InputError(folder / META, None, "not a saved state", "remove the folder and train again")
    state: State = _with_tensors(meta, folder)
    return state


def _without_tensors(value: Any, tensors: list[torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        tensors.append(value)
        return {"tensor": len(tensors) - 1}
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            return {"pairs": [[key, _without_tensors(one, tensors)] for key, one in value.items()]}
        return {"dict": {key: _without_tensors(one, tensors) for key, one in value.items()}}
    if isinstance(value, list | tuple):
        return [_without_tensors(one, tensors) for one in value]
    return value


def _with_tensors(value: Any, folder: Path) -> Any:
    if isinstance(value, list):
        return [_with_tensors(one, folder) for one in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return torch.from_numpy(np.array(need_array(folder, str(value["tensor"]))))
    if "pairs" in value:
        return {key: _with_tensors(one, folder) for key, one in value["pairs"]}
    return {key: _with_tensors(one, folder) for key, one in value["dict"].items()}
