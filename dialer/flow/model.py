"""A flow as a value, read from ``ivr_flows/<name>.yaml``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import Field, ValidationError

from dialer.flow.errors import FlowError
from dialer.flow.nodes import AnyNode, Node, Question
from dialer.flow.nodes.base import NodeName, Strict
from dialer.flow.nodes.question import REPEAT
from dialer.flow.words import LANGUAGES


class FlowKind(StrEnum):
    """What a flow is for."""

    CONVERSATION = "conversation"
    MESSAGE = "message"  # said to a machine: asks nothing, concludes nothing


class Flow(Strict):
    """Nodes by name, and where to start."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    title: str = ""
    kind: FlowKind = FlowKind.CONVERSATION
    languages: tuple[str, ...] = Field(LANGUAGES, min_length=1)
    start: NodeName
    nodes: dict[NodeName, AnyNode] = Field(min_length=1)

    def node(self, name: str) -> Node:
        """The node of that name. Raises FlowError where there is none."""
        try:
            return self.nodes[name]
        except KeyError:
            raise FlowError(
                f"flow {self.name}: there is no node {name!r}: add it or correct the name"
            ) from None


class _Loader(yaml.SafeLoader):
    """A name given twice is an error; plain YAML would keep the last and lose the first."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} is there twice: rename or remove one", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file whose top is a mapping. Raises FlowError naming the file and the line."""
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise FlowError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise FlowError(f"{path}: is not UTF-8: save it as UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        what = getattr(error, "problem", None) or "is not YAML"
        raise FlowError(f"{path}:{line} {what}") from error
    if not isinstance(raw, dict):
        raise FlowError(f"{path}: must be a mapping of names to values")
    return raw


def load_flow(path: Path) -> Flow:
    """Read one flow file; its ``name`` is the file's name.

    ``questions:`` at the top holds what every question does unless it says otherwise. Raises
    FlowError with every mistake of form: file, node, what is wrong. Whether the flow makes sense
    is for ``dialer.flow.check``.
    """
    raw = read_yaml(path)
    defaults = raw.pop("questions", {})
    if not isinstance(defaults, dict):
        raise FlowError(f"{path}: questions: must be a mapping")
    raw.setdefault("name", path.stem)
    if raw["name"] != path.stem:
        raise FlowError(f"{path}: name: must be the file's name, {path.stem!r}")
    _apply_defaults(path, raw.get("nodes"), defaults)
    try:
        flow = Flow.model_validate(raw)
    except ValidationError as error:
        raise FlowError("\n".join(_in_words(path, item) for item in error.errors())) from error
    if REPEAT in flow.nodes:
        raise FlowError(f"{path}: node {REPEAT}: the name means asking again: rename the node")
    return flow


def flow_names(flows_dir: Path) -> list[str]:
    """The flows of a folder, by name."""
    return sorted(path.stem for path in flows_dir.glob("*.yaml"))


def load_named(flows_dir: Path, name: str) -> Flow:
    """The flow of that name. Raises FlowError, with the names there are, where there is none."""
    if name not in flow_names(flows_dir):
        known = ", ".join(flow_names(flows_dir)) or "none"
        raise FlowError(f"there is no flow {name!r} in {flows_dir}: there are {known}")
    return load_flow(flows_dir / f"{name}.yaml")


def _question_types() -> dict[str, type[Question]]:
    union = get_args(AnyNode)[0]
    return {
        get_args(kind.model_fields["type"].annotation)[0]: kind
        for kind in get_args(union)
        if issubclass(kind, Question)
    }


_QUESTIONS = _question_types()


def _apply_defaults(path: Path, nodes: Any, defaults: dict[str, Any]) -> None:
    known = {name for kind in _QUESTIONS.values() for name in kind.model_fields}
    for unknown in set(defaults) - known:
        raise FlowError(f"{path}: questions: no question knows {unknown!r}: remove it")
    if not isinstance(nodes, dict):
        return  # the schema says what is wrong with it
    for node in nodes.values():
        kind = _QUESTIONS.get(str(node.get("type"))) if isinstance(node, dict) else None
        if kind is not None:
            for name, value in defaults.items():
                if name in kind.model_fields:
                    node.setdefault(name, value)


def _in_words(path: Path, item: Any) -> str:
    """One pydantic error with the node in plain sight (loc: nodes, name, type tag, field ...)."""
    loc = [str(part) for part in item["loc"]]
    where = f"{path}:"
    if loc[:1] == ["nodes"] and len(loc) > 1:
        where += f" node {loc[1]}:"
        loc = loc[3:]
    if loc:
        where += f" {'.'.join(loc)}:"
    if item["type"] == "extra_forbidden":
        return f"{where} is not known here: remove it or correct its name"
    if item["type"] == "missing":
        return f"{where} is missing: add it"
    if item["type"] == "union_tag_invalid":
        return f"{where} type {item['ctx']['tag']!r} is not one of {item['ctx']['expected_tags']}"
    if item["type"] == "union_tag_not_found":
        return f"{where} type is missing: add it"
    return f"{where} {item['msg'].removeprefix('Value error, ')}"


__all__ = [
    "Flow", "FlowKind", "flow_names", "load_flow", "load_named", "read_yaml",
]  # fmt: skip
