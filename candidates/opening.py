"""Opening what the stages of a run left, memory-mapped: passes, indices, matrices, retrievers, sources."""

from dataclasses import dataclass
from pathlib import Path

from candidates.settings import CandidatesSettings
from candidates.source_set import SourceSet
from events.index import IdIndex
from events.knowledge.fitted import Knowledge
from events.lists import Lists
from events.passes import PassData
from events.stages import need_stage
from models.building import Conditions, open_retriever, why_left_out
from models.searcher import Searcher
from models.settings import ModelsSettings

KNOWLEDGE = "knowledge"
"""Folder of a pass, if its shop knows anything of items or sessions."""


@dataclass(frozen=True, slots=True)
class Artifacts:
    """The folder ``runs/<name>`` of a run, and the settings that decide how its artifacts are opened.

    Raises
    ------
    InputError
        From every method, if the stage that it asks for has not run, or its files are damaged.
    """

    folder: Path
    models: ModelsSettings
    candidates: CandidatesSettings
    threads: int = 1

    def need(self, pass_name: str, stage: str) -> Path:
        """Folder of a stage that must have run."""
        return need_stage(self.folder, pass_name, stage)

    def data(self, pass_name: str) -> PassData:
        """What ``prepare`` stored for a pass."""
        return PassData.load(self.need("", "prepare") / pass_name)

    def items(self) -> IdIndex:
        """The item index."""
        return IdIndex.load(self.need("", "prepare") / "items.parquet")

    def matrices(self, pass_name: str) -> dict[str, Lists]:
        """The co-visitation matrices of a pass, in the order of the settings."""
        folder = self.need(pass_name, "covisit")
        names = [name for name in self.candidates.recipes if (folder / name).is_dir()]
        return {name: Lists.load(folder / name) for name in names}

    def knowledge(self, pass_name: str) -> Knowledge | None:
        """What is known of the items and sessions of a pass, if anything is."""
        folder = self.folder / pass_name / KNOWLEDGE
        return Knowledge.load(folder) if folder.is_dir() else None

    def searchers(self, data: PassData) -> dict[str, Searcher]:
        """The fitted retrievers of a pass with their indices, in the order of the settings."""
        folder = self.need(data.name, "retrievers")
        conditions = Conditions(self.models.seed, self.threads, knowledge=self.knowledge(data.name))
        return {
            name: Searcher.load(folder / name, open_retriever(name, one, conditions), self.models.index)
            for name, one in self.models.retrievers.items()
            if why_left_out(name, self.models, data.fit.has) is None
        }

    def new_sources(self, data: PassData) -> SourceSet:
        """The sources that this shop can serve, not yet fitted."""
        # Files with candidates from elsewhere name the target sessions by the source's ids.
        sessions = None if data.several_rows else IdIndex(data.target_ids)
        has, items, known = data.fit.has, self.items(), self.knowledge(data.name)
        return SourceSet.of(self.candidates, has, self.threads, items, sessions, data.n_train, self.models, known)

    def sources(self, data: PassData) -> SourceSet:
        """The fitted sources of a pass."""
        folder = self.need(data.name, "candidates")
        return self.new_sources(data).load(folder, self.matrices(data.name), self.searchers(data))
