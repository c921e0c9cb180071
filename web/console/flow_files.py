"""Flows and prompts as they lie in the folder, read once for each change of a file: reading YAML
takes longer than a page may."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from dialer.flow.check import check_named
from dialer.flow.errors import FlowError
from dialer.flow.model import Flow, load_named
from dialer.flow.prompts import Prompts, load_prompts


def flow_of(flows_dir: Path, name: str) -> Flow:
    """Raises FlowError where there is none, or it cannot be read."""
    return _flow(flows_dir, name, _stamp(flows_dir))


def prompts_of(flows_dir: Path, language: str) -> Prompts:
    """Raises FlowError where there are none."""
    return _prompts(flows_dir, language, _stamp(flows_dir))


def texts_of(flows_dir: Path, language: str) -> Mapping[str, str]:
    """Prompt -> its words; nothing where the language has none."""
    try:
        found = prompts_of(flows_dir, language)
    except FlowError:
        return {}
    return {key: one.text for key, one in found.by_key.items()}


def problems_of(flows_dir: Path, name: str) -> tuple[str, ...]:
    """What the proofs find wrong with a flow."""
    return _problems(flows_dir, name, _stamp(flows_dir))


Stamp = tuple[tuple[str, int], ...]


def _stamp(flows_dir: Path) -> Stamp:
    files = [*flows_dir.glob("*.yaml"), *flows_dir.glob("prompts/*.yaml")]
    return tuple(sorted((str(path), path.stat().st_mtime_ns) for path in files))


@lru_cache(maxsize=64)
def _flow(flows_dir: Path, name: str, _files: Stamp) -> Flow:
    return load_named(flows_dir, name)


@lru_cache(maxsize=8)
def _prompts(flows_dir: Path, language: str, _files: Stamp) -> Prompts:
    return load_prompts(flows_dir, language)


@lru_cache(maxsize=64)
def _problems(flows_dir: Path, name: str, _files: Stamp) -> tuple[str, ...]:
    return tuple(str(one) for one in check_named(flows_dir, name))
