"""The one trainer: any task that can draw batches and say what they cost.

Learning-rate warm-up and cosine, gradient clipping, mixed precision, early stopping, checkpoints from which a killed
training goes on along the same losses, a bar with tokens/s, TensorBoard, and data-parallel processes of torchrun.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from events.errors import InputError
from models.checkpoint import META, load_state, save_state
from models.parallel import average_gradients, process_group, rank_and_size, share_from_first
from models.table import ItemTable
from models.training_settings import TrainingSettings

CHECKED = 50
"""Steps between two looks at the loss: reading it waits for the device."""

AHEAD = 4
"""Batches that are made while the model is busy."""


class Task(Protocol):
    """What is trained.

    module : holds the parameters; ``table`` the embeddings that are trained by rows
    """

    module: nn.Module
    table: ItemTable

    def batches(self, epoch: int, skip: int) -> Iterator[tuple[Any, float]]:
        """The batches of an epoch, all but the first ``skip``, each with the share of the epoch done after it."""
        ...

    def loss(self, batch: Any, step: int) -> tuple[Tensor, int, int]:
        """Mean loss over the batch's predictions, their number, and the tokens read."""
        ...

    def validate(self) -> float | None:
        """How good the model is, more is better; ``None`` if nothing is held out."""
        ...


@dataclass(frozen=True, slots=True)
class Epoch:
    """What an epoch came to: mean loss, recall of the held-out sessions if there are any, tokens, wall seconds."""

    number: int
    loss: float
    recall: float | None
    tokens: int
    seconds: float


def pick_device(name: str) -> torch.device:
    """The device of the settings; ``auto`` is the GPU if there is one."""
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


def multiplies_bf16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16: GPUs, and CPUs with AVX-512 BF16 or AMX (2.3 times as fast)."""
    found = {} if device.type == "cuda" else torch.cpu.get_capabilities()
    return device.type == "cuda" or bool(found.get("avx512_bf16") or found.get("amx_bf16"))


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Use so many threads within operations; 0 leaves them as they are."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def learning_rate(settings: TrainingSettings, done: float) -> float:
    """Share of the highest learning rate after a share of the training: a linear rise, then half a cosine."""
    if done < settings.warmup:
        return done / settings.warmup
    rest = (done - settings.warmup) / (1.0 - settings.warmup)
    return settings.last_rate + (1.0 - settings.last_rate) * 0.5 * (1.0 + math.cos(math.pi * min(rest, 1.0)))


class Trainer:
    """Trains one task; ``folder`` keeps its checkpoint, ``None`` none.

    Raises
    ------
    InputError
        From :meth:`run`, if the loss is no number.
    """

    def __init__(self, name: str, settings: TrainingSettings, folder: Path | None = None, identity: Any = None) -> None:
        """``identity``: JSON-like; a checkpoint of another one is not gone on from."""
        self.name, self.settings, self.folder = name, settings, folder
        text = json.dumps([name, settings.model_dump(mode="json"), identity], sort_keys=True, default=str)
        self._identity = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def run(self, task: Task, on_epoch: Callable[[Epoch], None] | None = None) -> list[Epoch]:
        """Train to the end, from the checkpoint if there is one; the task is left with its best epoch's weights.

        on_epoch : called after each epoch; what it raises ends the training
        """
        device = pick_device(self.settings.device)
        with process_group(device.type), torch_threads(self.settings.threads), torch.random.fork_rng():
            return _Training(self, task, device).run(on_epoch)


class _Training:
    """One run of a trainer: where it stands."""

    def __init__(self, trainer: Trainer, task: Task, device: torch.device) -> None:
        self.settings, self.task, self.device, self.name = trainer.settings, task, device, trainer.name
        self.folder, self.identity = trainer.folder, trainer._identity
        self.rank, self.size = rank_and_size()
        self.parameters = [parameter for parameter in task.module.parameters() if parameter.requires_grad]
        share_from_first([*task.module.state_dict().values(), task.table.weight])
        self.optimizer = torch.optim.AdamW(
            self.parameters, self.settings.learning_rate, betas=(0.9, 0.98), weight_decay=self.settings.weight_decay
        )
        bf16 = self.settings.precision == "bf16" or (self.settings.precision == "auto" and multiplies_bf16(device))
        self.autocast = torch.autocast(device.type, torch.bfloat16, enabled=bf16)
        self.history: list[Epoch] = []
        self.epoch = self.batch = self.step = 0
        self.best: dict[str, Any] | None = None
        self.saved = time.monotonic()
        self._start_epoch()

    def _start_epoch(self) -> None:
        self.total, self.predictions, self.tokens, self.seconds = 0.0, 0, 0, 0.0

    def run(self, on_epoch: Callable[[Epoch], None] | None) -> list[Epoch]:
        self._resume()
        writer = self._writer()
        hidden = None if self.rank == 0 else True
        with tqdm(desc=self.name, unit="token", unit_scale=True, disable=hidden) as bar:
            bar.update(sum(epoch.tokens for epoch in self.history) + self.tokens)
            while self.epoch < self.settings.epochs and not self._is_over():
                self._train_epoch(bar, writer)
                if self.rank == 0:
                    self._save()
                if on_epoch is not None:
                    on_epoch(self.history[-1])
        if writer is not None:
            writer.close()
        if self.best is not None:
            self._restore(self.best)
        return self.history

    def _train_epoch(self, bar: Any, writer: Any) -> None:
        self.task.module.train()
        started = time.perf_counter() - self.seconds
        losses: list[tuple[Tensor, int]] = []
        for batch, share in _prefetch(self.task.batches(self.epoch, self.batch)):
            done = (self.epoch + share) / self.settings.epochs
            # The dropout of a step depends on its number alone, so that a resumed training draws the same.
            torch.manual_seed(self.settings.seed * 1_000_003 + self.step * self.size + self.rank)
            with self.autocast:
                loss, predictions, tokens = self.task.loss(batch, self.step)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            average_gradients(self.parameters)
            torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.clip_norm)
            rate = learning_rate(self.settings, done)
            for group in self.optimizer.param_groups:
                group["lr"] = rate * self.settings.learning_rate
            self.optimizer.step()
            self.task.table.step(rate * self.settings.item_learning_rate)
            losses.append((loss.detach(), predictions))
            self.tokens += tokens
            self.batch += 1
            self.step += 1
            bar.total = round((bar.n + tokens) / done)  # by the share that is done: batches are of unequal size
            bar.update(tokens)
            if len(losses) == CHECKED:
                self._add_losses(losses, writer, bar)
                self.seconds = time.perf_counter() - started
                if self.rank == 0 and time.monotonic() - self.saved > 60 * self.settings.checkpoint_minutes:
                    self._save()
        self._add_losses(losses, writer, bar)
        self.seconds = time.perf_counter() - started
        self.task.module.eval()
        recall = self.task.validate()
        mean = self.total / max(self.predictions, 1)
        self.history.append(Epoch(self.epoch, mean, recall, self.tokens, self.seconds))
        if recall is not None and recall >= max(epoch.recall or 0.0 for epoch in self.history):
            self.best = self._weights(copy=True)
        if writer is not None and recall is not None:
            writer.add_scalar("recall", recall, self.step)
        self.epoch, self.batch = self.epoch + 1, 0
        self._start_epoch()

    def _add_losses(self, losses: list[tuple[Tensor, int]], writer: Any, bar: Any) -> None:
        if not losses:
            return
        values = torch.stack([loss for loss, _ in losses]).tolist()
        for value, (_, predictions) in zip(values, losses, strict=True):
            self.total += value * predictions
            self.predictions += predictions
        if not math.isfinite(self.total):
            problem = f"the loss is no longer a number, before step {self.step:,} of epoch {self.epoch + 1}"
            raise InputError(f"training of {self.name}", None, problem, "lower its training.learning_rate")
        if writer is not None:
            writer.add_scalar("loss", values[-1], self.step)
        bar.set_postfix(epoch=self.epoch + 1, loss=f"{self.total / self.predictions:.4f}")
        losses.clear()

    def _is_over(self) -> bool:
        recalls = [epoch.recall for epoch in self.history if epoch.recall is not None]
        if not recalls:
            return False
        return len(recalls) - 1 - recalls.index(max(recalls)) >= self.settings.patience

    def _weights(self, copy: bool = False) -> dict[str, Any]:
        module = {key: value.clone() if copy else value for key, value in self.task.module.state_dict().items()}
        weight = self.task.table.weight
        return {"module": module, "table": weight.clone() if copy else weight}

    def _restore(self, weights: Mapping[str, Any]) -> None:
        self.task.module.load_state_dict(weights["module"])
        self.task.table.weight.copy_(weights["table"])

    def _save(self) -> None:
        self.saved = time.monotonic()
        if self.folder is None:
            return
        state = {
            "identity": self.identity,
            "module": self.task.module.state_dict(),
            "table": self.task.table.state(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
            "history": [asdict(epoch) for epoch in self.history],
            "place": [self.epoch, self.batch, self.step],
            "so_far": [self.total, self.predictions, self.tokens, self.seconds],
        }
        save_state(self.folder, state)

    def _resume(self) -> None:
        if self.folder is None or not (self.folder / META).exists():
            return
        state = load_state(self.folder)
        if state["identity"] != self.identity:
            return
        self.task.module.load_state_dict(state["module"])
        self.task.table.load(state["table"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.best = state["best"]
        self.history = [Epoch(**epoch) for epoch in state["history"]]
        self.epoch, self.batch, self.step = state["place"]
        self.total, self.predictions, self.tokens, self.seconds = state["so_far"]

    def _writer(self) -> Any:
        if not self.settings.tensorboard or self.folder is None or self.rank != 0:
            return None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            remedy = "install the extra `board`, or set training.tensorboard=false"
            raise InputError("training.tensorboard", None, "TensorBoard is not installed", remedy) from None
        return SummaryWriter(str(self.folder.with_name(self.folder.name + ".board")))


Made = TypeVar("Made")


def _prefetch(made: Iterator[Made]) -> Iterator[Made]:
    """The same, made by a thread of its own some way ahead; what it raises is raised here."""
    queue: Queue[Made | BaseException | None] = Queue(AHEAD)
    stopped = False

    def work() -> None:
        try:
            for one in made:
                queue.put(one)
                if stopped:
                    return
            queue.put(None)
        except BaseException as error:
            queue.put(error)

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        while (one := queue.get()) is not None:
            if isinstance(one, BaseException):
                raise one
            yield one
    finally:
        stopped = True
        while thread.is_alive():
            while not queue.empty():
                queue.get_nowait()
            thread.join(0.01)


def throughput(history: Sequence[Epoch]) -> float:
    """Tokens per second over all epochs."""
    return sum(epoch.tokens for epoch in history) / max(sum(epoch.seconds for epoch in history), 1e-9)
