"""The pins: they fit pyproject.toml, carry hashes, and name no server."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
FILES = {
    "runtime.txt": PROJECT["dependencies"],
    "dev.txt": [*PROJECT["dependencies"], *EXTRAS["dev"]],
    "pico.txt": [*PROJECT["dependencies"], *EXTRAS["pico"]],
}


def _pins(name: str) -> dict[str, list[tuple[Requirement, int]]]:
    """Package -> each of its pins (one for each range of Pythons) with its count of hashes."""
    text = (ROOT / "requirements" / name).read_text().replace("\\\n", "")
    pins: dict[str, list[tuple[Requirement, int]]] = {}
    for line in text.splitlines():
        head, *hashes = line.split("--hash=sha256:")
        pin = Requirement(head)
        pins.setdefault(canonicalize_name(pin.name), []).append((pin, len(hashes)))
    return pins


@pytest.mark.parametrize("name", FILES)
def test_every_dependency_is_pinned_to_a_version_that_fits(name: str) -> None:
    pins = _pins(name)
    for text in FILES[name]:
        wanted = Requirement(text)
        assert canonicalize_name(wanted.name) in pins, f"run `make lock`: {text} is not in {name}"
        for pin, _ in pins[canonicalize_name(wanted.name)]:
            version = str(pin.specifier).removeprefix("==")
            assert wanted.specifier.contains(version), f"run `make lock`: {text}, pinned {version}"


@pytest.mark.parametrize("name", FILES)
def test_every_pin_is_exact_and_has_hashes(name: str) -> None:
    for pins in _pins(name).values():
        for pin, hashes in pins:
            assert re.fullmatch(r"==[^=*]+", str(pin.specifier)), pin
            assert hashes > 0, pin


@pytest.mark.parametrize("name", FILES)
def test_no_server_is_named(name: str) -> None:
    """Where packages come from is the machine's business."""
    text = (ROOT / "requirements" / name).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*-(?!-hash=)", text, re.MULTILINE)


def test_the_sets_agree() -> None:
    """What runs in production is what was tested."""
    tested = {name: [str(pin) for pin, _ in pins] for name, pins in _pins("dev.txt").items()}
    for name, pins in _pins("runtime.txt").items():
        assert tested[name] == [str(pin) for pin, _ in pins]
