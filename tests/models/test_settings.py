"""Settings of the models floor, and what is built from them."""

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from events.errors import InputError
from events.log import NEEDS
from models.building import Conditions, build_retriever, why_left_out
from models.retriever_settings import CustomRetrieverSettings
from models.settings import DEFAULT_RETRIEVERS, ModelsSettings
from models.svd import Svd
from models.svd_settings import SvdSettings
from models.training_settings import SASRecSettings
from tests.models.typed import TypedSvd

TYPED = "tests.models.typed:TypedSvd"


class Demanding(TypedSvd):
    """Needs a time."""

    def __init__(self, name: str, options: object = None) -> None:
        super().__init__(name)
        self.needs = frozenset({"time"})


def settings(retrievers: dict[str, Any], **more: Any) -> ModelsSettings:
    return ModelsSettings.model_validate({"retrievers": retrievers, **more})


def test_one_key_changes_a_default_and_leaves_the_others() -> None:
    found = settings({"svd": {"on": True, "dim": 8}, "mine": {"kind": "custom", "retriever": TYPED}})
    assert found.retrievers["svd"] == SvdSettings(on=True, dim=8)
    assert list(found.retrievers) == [*DEFAULT_RETRIEVERS, "mine"]
    assert ModelsSettings().retrievers == DEFAULT_RETRIEVERS
    slower = settings({"sasrec": {"training": {"epochs": 9}}}).retrievers["sasrec"]
    before = DEFAULT_RETRIEVERS["sasrec"]
    assert isinstance(slower, SASRecSettings)
    assert isinstance(before, SASRecSettings)
    assert slower.training == before.training.model_copy(update={"epochs": 9})
    assert settings({"mine": {"kind": "svd"}}, defaults=False).retrievers == {"mine": SvdSettings()}
    # What changes a default one goes with it; a name that is none still needs a kind.
    both = {"mine": {"kind": "svd"}, "gru4rec": {"k": 5}, "svd": {"kind": "svd", "dim": 8}}
    assert settings(both, defaults=False).retrievers == {"mine": SvdSettings(), "svd": SvdSettings(dim=8)}
    with pytest.raises(ValidationError, match="kind"):
        settings({"gru5rec": {"k": 5}}, defaults=False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"svd": {"dims": 3}},
        {"mine": {"kind": "nothing"}},
        {"my-own": {"kind": "svd"}},
        {"svd": {"k": -1}},
        {"mine": {"kind": "custom"}},
        {"mine": {"kind": "custom", "retriever": "no colon"}},
        3,
    ],
)
def test_wrong_settings_are_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        settings(wrong)


def test_every_kind_is_built() -> None:
    built = build_retriever("a", SvdSettings(dim=3), Conditions(seed=5))
    assert isinstance(built, Svd)
    assert (built.name, built.settings.dim) == ("a", 3)
    assert isinstance(build_retriever("b", CustomRetrieverSettings(retriever=TYPED), Conditions()), TypedSvd)
    with pytest.raises(InputError, match=r"models\.retrievers\.c.*not a retriever"):
        build_retriever("c", CustomRetrieverSettings(retriever="builtins:zip"), Conditions())
    with pytest.raises(InputError, match="cannot be found"):
        build_retriever("c", CustomRetrieverSettings(retriever="tests.models:absent"), Conditions())


def test_what_a_run_goes_without() -> None:
    found = settings({"mine": {"kind": "custom", "retriever": "tests.models.test_settings:Demanding"}})
    assert why_left_out("svd", found, frozenset(NEEDS)) == "it is off"
    assert why_left_out("mine", found, frozenset(NEEDS)) is None
    assert why_left_out("mine", found, frozenset({"types"})) == "the shop has no time"


def test_settings_import_no_model() -> None:
    words = "import sys, models.settings; sys.exit('torch' in sys.modules or 'faiss' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", words], check=False).returncode == 0
