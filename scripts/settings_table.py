"""The table of all settings, ``docs/settings.md``, generated: ``python -m scripts.settings_table``.

What a setting does is read from where it is declared: its ``Field(description=...)``, or the string under it.
"""

import ast
import inspect
import re
import sys
import textwrap
import types
import typing
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from candidates.settings import DEFAULT_RECIPES, DEFAULT_SOURCES
from events.files import atomic_file
from models.settings import DEFAULT_RETRIEVERS
from scripts.settings import Settings
from scripts.settings_words import WORDS

PATH = Path(__file__).resolve().parent.parent / "docs" / "settings.md"

HEAD = """# Settings

Written by `python -m scripts.settings_table`; do not edit.

A run is decided by one TOML file (`--config`) and by `--set key=value`, as in `--set split.days=2`. A key that is
left out has its default; an unknown key stops the run, with its line. *Left out* means that there is no value unless
one is given; of a table the default shows what differs from the defaults of its keys. Kinds of sources stand under
`[candidates.sources.NAME]`, kinds of retrievers under `[models.retrievers.NAME]`; NAME is yours to choose.
"""

DEFAULTS: Mapping[str, Mapping[str, BaseModel]] = {
    "candidates.recipes": DEFAULT_RECIPES,
    "candidates.sources": DEFAULT_SOURCES,
    "models.retrievers": DEFAULT_RETRIEVERS,
}
"""Named groups that are there without being named, as long as ``defaults`` of their section is on."""

BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
KINDS: dict[Any, str] = {int: "whole number", float: "number", str: "text", bool: "`true`, `false`", Path: "path"}

Models = tuple[type[BaseModel], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One setting: its key inside its section, what it takes, its default and its effect, as Markdown."""

    key: str
    takes: str
    default: str
    effect: str


@dataclass(frozen=True, slots=True)
class Section:
    """The settings of one group: where it stands, or what it is called where it stands in several places."""

    title: str
    about: str
    rows: tuple[Row, ...]


def strings_under(body: list[ast.stmt]) -> Iterator[tuple[ast.stmt, str]]:
    """The statements that are followed by a bare string, and that string."""
    for statement, after in pairwise(body):
        match after:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield statement, text


def declared(model: type[BaseModel]) -> dict[str, str]:
    """Effects of a class's own fields by the strings under them, or under the alias that is their type."""
    module = ast.parse(inspect.getsource(sys.modules[model.__module__])).body
    aliases = {
        target.id: text
        for one, text in strings_under(module)
        if isinstance(one, ast.Assign)
        for target in one.targets
        if isinstance(target, ast.Name)
    }
    (found,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(found, ast.ClassDef)
    effects: dict[str, str] = {}
    for one in found.body:
        match one:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=ast.Name(id=alias)) if alias in aliases:
                effects[name] = aliases[alias]
    for one, text in strings_under(found.body):
        match one:
            case ast.AnnAssign(target=ast.Name(id=name)):
                effects[name] = text
    return effects


def effects_of(model: type[BaseModel]) -> dict[str, str]:
    """Effects of all fields, inherited ones too; a field's own description comes first."""
    effects: dict[str, str] = {}
    for one in reversed(model.__mro__):
        if issubclass(one, BaseModel) and one is not BaseModel:
            effects |= declared(one)
    return effects | {name: field.description for name, field in model.model_fields.items() if field.description}


def models_in(annotation: Any) -> Models:
    """The settings classes that a type is made of."""
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return (annotation,) if issubclass(annotation, BaseModel) else ()
    if typing.get_origin(annotation) is Literal:
        return ()
    return tuple(model for one in typing.get_args(annotation) for model in models_in(one))


def bounds(metadata: Any) -> str:
    """Bounds of a number: `` ≥ 1, ≤ 50``."""
    found = []
    for one in metadata:
        inner = getattr(one, "metadata", [one])
        found += [f"{sign} {_bound(getattr(m, key))}" for m in inner for key, sign in BOUNDS.items() if hasattr(m, key)]
    return " " + ", ".join(found) if found else ""


def _bound(value: Any) -> str:
    power = int(value).bit_length() - 1
    return f"2^{power}" if value == 2**power and power > 30 else toml(value)


def takes(annotation: Any, metadata: Any = ()) -> str:
    """What values a type allows, in words."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if models_in(annotation):
        return "table"
    if origin is Annotated:
        return takes(arguments[0], [*arguments[1:], *metadata])
    if origin is Literal:
        return ", ".join(f"`{toml(one)}`" for one in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(takes(one, metadata) for one in arguments if one is not type(None)))
    if origin is tuple:
        inner = dict.fromkeys(takes(one) for one in arguments if one is not ...)
        return f"list of {' and '.join(inner)}"
    if origin is dict:
        return f"table of {takes(arguments[1])}"
    return KINDS.get(annotation, "anything") + bounds(metadata)


def toml(value: Any) -> str:
    """A value as TOML writes it; of a group only what differs from the defaults of its class."""
    match value:
        case BaseModel():
            return toml(changes(value))
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}" if float(f"{value:g}") == value else repr(value)
        case tuple() | list():
            return f"[{', '.join(toml(one) for one in value)}]"
        case Mapping():
            return f"{{{', '.join(f'{key} = {toml(one)}' for key, one in value.items())}}}"
        case str() | Path():
            return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
        case _:
            return str(value)


def changes(settings: BaseModel) -> dict[str, Any]:
    """The keys whose values differ from the class's defaults."""
    fields = type(settings).model_fields
    return {name: one for name, field in fields.items() if (one := getattr(settings, name)) != field.get_default()}


def prose(text: str) -> str:
    """A docstring as one cell of a Markdown table."""
    flat = re.sub(r"``(.+?)``", r"`\1`", " ".join(text.split()))
    return flat.replace("|", "\\|")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    value = field.get_default(call_default_factory=True)
    return "left out" if value is None else f"`{toml(value)}`"


def _only_kind(field: FieldInfo) -> bool:
    """Whether a field has but one value, which the section's title says."""
    return typing.get_origin(field.annotation) is Literal and len(typing.get_args(field.annotation)) == 1


def word(model: type[BaseModel], name: str) -> str:
    """What ``WORDS`` say of a field: by its class or one that it inherits from, else by its name alone."""
    keys = [f"{one.__name__}.{name}" for one in model.__mro__]
    return next((WORDS[key] for key in [*keys, name] if key in WORDS), "")


def slug(title: str) -> str:
    """The anchor that a heading gets on GitHub."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


class Table:
    """Walks the settings from their root; a class that stands in several places has one section, linked to."""

    def __init__(self, root: type[BaseModel]) -> None:
        self._uses: Counter[type[BaseModel]] = Counter()
        self._names: dict[type[BaseModel], str] = {}
        self._count(root)
        self.sections: list[Section] = []
        self._done: set[type[BaseModel]] = set()
        self._waiting: list[type[BaseModel]] = []
        self._add(root, "")
        while self._waiting:
            shared = self._waiting.pop(0)
            if shared not in self._done:
                self._done.add(shared)
                self._add(shared, self._names[shared], shared=True)

    def _count(self, model: type[BaseModel]) -> None:
        for name, field in model.model_fields.items():
            for inner in models_in(field.annotation):
                self._uses[inner] += 1
                self._names.setdefault(inner, name)
                if self._uses[inner] == 1:
                    self._count(inner)

    def _add(self, model: type[BaseModel], path: str, shared: bool = False, title: str = "") -> None:
        effects = effects_of(model)
        rows, below = [], []
        for name, field in model.model_fields.items():
            if _only_kind(field):
                continue
            inner = models_in(field.annotation)
            single = [one for one in inner if self._uses[one] == 1]
            if single and not shared:
                below.append((name, field, single))
                if typing.get_origin(field.annotation) is not dict:
                    continue
            links = [one for one in inner if one not in single or shared]
            self._waiting += links
            effect = prose(effects.get(name) or word(model, name))
            effect += "".join(f" [{self._link(one)}](#{slug(self._title(one))})." for one in links)
            rows.append(Row(name, takes(field.annotation, field.metadata), _default(field), effect))
        about = prose((model.__doc__ or "").strip().split("\n\n")[0]) if model is not Settings else ""
        heading = title or (self._title(model) if shared else f"[{path}]" if path else "At the top")
        if rows:
            self.sections.append(Section(heading, about, tuple(rows)))
        for name, field, single in below:
            where = f"{path}.{name}" if path else name
            many = typing.get_origin(field.annotation) is dict
            for one in single:
                kind = one.model_fields.get("kind")
                named = f"[{where}.NAME]" + (f" kind = {toml(kind.get_default())}" if kind else "")
                listed = f"[[{where}]]" if typing.get_origin(field.annotation) is tuple else ""
                self._add(one, f"{where}.NAME" if many else where, title=named if many else listed)

    def _link(self, model: type[BaseModel]) -> str:
        kind = model.model_fields.get("kind")
        return f"Keys of `{kind.get_default()}`" if kind else "Keys"

    def _title(self, model: type[BaseModel]) -> str:
        kind = model.model_fields.get("kind")
        return f"Group kind = {toml(kind.get_default())}" if kind else f"Group {self._names[model]}"


def _named(path: str, groups: Mapping[str, BaseModel]) -> list[str]:
    lines = [f"## Default {path}", "", "Without naming any, a run has these; a config changes single keys of them.", ""]
    lines += ["| name | kind | what differs from the defaults of its kind |", "|---|---|---|"]
    for name, one in groups.items():
        kind = getattr(one, "kind", "")
        given = ", ".join(f"{key} = {toml(value)}" for key, value in changes(one).items() if key != "kind")
        lines.append(f"| `{name}` | {f'`{kind}`' if kind else ''} | {f'`{given}`' if given else ''} |")
    return [*lines, ""]


def markdown() -> str:
    """The whole page."""
    lines = [HEAD]
    for section in Table(Settings).sections:
        lines += [f"## {section.title}", ""] + ([section.about, ""] if section.about else [])
        lines += ["| key | takes | default | effect |", "|---|---|---|---|"]
        lines += [f"| `{row.key}` | {row.takes} | {row.default} | {row.effect} |" for row in section.rows]
        lines.append("")
    for path, groups in DEFAULTS.items():
        lines += _named(path, groups)
    return "\n".join(lines).rstrip("\n") + "\n"


if __name__ == "__main__":
    with atomic_file(PATH) as beside:
        beside.write_text(markdown(), encoding="utf-8")
