"""A synthetic shop of a wanted size, split as a run splits it, with its co-visitation matrices."""

from pathlib import Path

from candidates.covisitation import fit_covisitation
from candidates.recipes import Recipe
from events.lists import Lists
from events.passes import VALIDATION, PassData, build_passes
from events.settings import SampleSettings, SplitSettings
from events.shop.generate import generate
from events.shop.settings import ShopSettings

EVENTS_PER_SESSION = 16.8
"""Of the train log of OTTO and of the shop."""


def make_pass(events: float, recipes: dict[str, Recipe], folder: Path, threads: int) -> None:
    """Write the validation pass of a shop of about so many train events, and a matrix for each recipe."""
    shop = ShopSettings(train_sessions=max(100, int(events / EVENTS_PER_SESSION)), test_sessions=0)
    generate(shop, folder, threads, progress=False)
    split = SplitSettings(transductive=True)
    build_passes(folder / "train.parquet", None, None, split, SampleSettings(), 42, folder)
    for name, matrix in fit_covisitation(open_pass(folder).fit, recipes, threads).items():
        (folder / "matrices" / name).mkdir(parents=True)
        matrix.save(folder / "matrices" / name)


def open_pass(folder: Path) -> PassData:
    """The pass, memory-mapped."""
    return PassData.load(folder / VALIDATION)


def open_matrices(folder: Path) -> dict[str, Lists]:
    """The matrices by the name of their recipe, memory-mapped."""
    return {path.name: Lists.load(path) for path in sorted((folder / "matrices").iterdir())}
