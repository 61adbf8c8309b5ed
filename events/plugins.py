"""Classes and functions of the user's own, named in a config."""

from importlib import import_module
from typing import Any

from events.errors import InputError


def load_object(path: str) -> Any:
    """The object that ``package.module:name`` names.

    Raises
    ------
    InputError
        If there is no such module or name.
    """
    module, _, name = path.partition(":")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        remedy = "name it as package.module:name, importable from the current folder"
        raise InputError(path, None, f"cannot be found: {error}", remedy) from None
