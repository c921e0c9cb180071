"""The flows that calls may use: read, proven, and read again when a file changes."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dialer.flow.check import check_flow, load_catalogue
from dialer.flow.errors import FlowError
from dialer.flow.model import Flow, flow_names, load_named
from dialer.flow.prompts import Prompts
from dialer.logs import get_logger

log = get_logger(__name__)

Stamp = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Proven:
    """A flow without problems, with the prompts of its languages."""

    flow: Flow
    prompts: Mapping[str, Prompts]

    def language(self, *wanted: str | None) -> str:
        """The first of the wanted languages that it speaks (``es-MX`` is spoken by ``es``)."""
        for one in wanted:
            for name in (one, one.split("-")[0]) if one else ():
                if name in self.prompts:
                    return name
        return self.flow.languages[0]


class Shelf:
    """Flows by name. Safe for many threads."""

    def __init__(self, flows_dir: Path) -> None:
        self._folder = flows_dir
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[Stamp, Proven]] = {}
        self._refused: dict[str, tuple[Stamp, str]] = {}

    def get(self, name: str) -> Proven:
        """The flow. Raises FlowError for one that is not there or has a problem.

        When a file has been changed into something wrong, calls go on with what it was before.
        """
        with self._lock:
            stamp = self._stamp(name)
            kept = self._kept.get(name)
            if kept is not None and kept[0] == stamp:
                return kept[1]
            refused = self._refused.get(name)
            if refused is None or refused[0] != stamp:
                try:
                    proven = self._load(name)
                except FlowError as error:
                    log.error("flow refused", flow=name, why=str(error), kept=kept is not None)
                    self._refused[name] = (stamp, str(error))
                else:
                    self._refused.pop(name, None)
                    self._kept[name] = (stamp, proven)
                    return proven
            if kept is not None:
                return kept[1]
            raise FlowError(self._refused[name][1])

    def problems(self) -> str | None:
        """What is wrong with any flow of the folder, for the health page; None: nothing."""
        if not flow_names(self._folder):
            return f"no flows in {self._folder}"
        wrong = []
        for name in flow_names(self._folder):
            try:
                self.get(name)
            except FlowError as error:
                wrong.append(str(error))
            else:
                if name in self._refused:
                    wrong.append(self._refused[name][1])
        return "; ".join(wrong) or None

    def _load(self, name: str) -> Proven:
        flow = load_named(self._folder, name)
        prompts = load_catalogue(self._folder, flow)
        found = check_flow(flow, prompts)
        if found:
            raise FlowError("; ".join(map(str, found)))
        return Proven(flow, prompts)

    def _stamp(self, name: str) -> Stamp:
        files = [self._folder / f"{name}.yaml", *sorted((self._folder / "prompts").glob("*.yaml"))]
        found = []
        for path in files:
            try:
                facts = path.stat()
            except OSError:
                continue
            found.append((path.name, facts.st_mtime_ns, facts.st_size))
        return tuple(found)
