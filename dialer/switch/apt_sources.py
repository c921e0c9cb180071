"""What this machine's own apt configuration says about where packages come from.

Nothing here knows the address of a mirror: it is read from the ``.sources`` (deb822) and
``.list`` (one line an entry) files that the machine's apt uses, with the keys named there.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROLLING_NAMES = ("stable", "oldstable", "testing", "unstable", "sid")


@dataclass(frozen=True, slots=True)
class Source:
    """One suite of one repository.

    ``signed_by`` is what apt's Signed-By says: a path, a fingerprint or a whole armoured key;
    empty means the machine's general key folder.
    """

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""

    def deb822(self) -> str:
        """The entry as a stanza of a ``.sources`` file."""
        lines = [
            "Types: deb",
            f"URIs: {self.uri}",
            f"Suites: {self.suite}",
            f"Components: {' '.join(self.components)}",
        ]
        if self.signed_by:
            lines.append(f"Signed-By: {self.signed_by}")
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Release:
    """Which distribution this is, from os-release: ``debian``/``ubuntu`` and its codename."""

    identifier: str
    codename: str


def read_release(path: Path = Path("/etc/os-release")) -> Release:
    """Read os-release; unknown fields are empty strings."""
    fields: dict[str, str] = {}
    if path.exists():
        for line in path.read_text().splitlines():
            name, equals, value = line.partition("=")
            if equals:
                fields[name.strip()] = "".join(shlex.split(value))
    return Release(fields.get("ID", ""), fields.get("VERSION_CODENAME", ""))


def parse_deb822(text: str) -> list[Source]:
    """Entries of a ``.sources`` file that are switched on and hold binary packages."""
    found: list[Source] = []
    for fields in _stanzas(text):
        if "deb" not in fields.get("types", "deb").split():
            continue
        if fields.get("enabled", "yes").strip().lower() in ("no", "false", "0"):
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                components = tuple(fields.get("components", "").split())
                found.append(Source(uri, suite, components, fields.get("signed-by", "").rstrip()))
    return found


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    last = ""
    for line in [*text.splitlines(), ""]:
        if not line.strip():
            if fields:
                yield fields
            fields, last = {}, ""
        elif line.startswith("#"):
            continue
        elif line[0].isspace():
            if last:
                # An armoured key keeps its line breaks: apt wants them back as they were.
                fields[last] += "\n" + line.rstrip()
        else:
            name, _, value = line.partition(":")
            last = name.strip().lower()
            fields[last] = value.strip()


_ONE_LINE = re.compile(r"^\s*deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<rest>.+)$")


def parse_one_line(text: str) -> list[Source]:
    """Entries of a ``.list`` file: ``deb [signed-by=...] URI suite component ...``."""
    found: list[Source] = []
    for line in text.splitlines():
        match = _ONE_LINE.match(line.split("#", 1)[0])
        if match is None:
            continue
        options = dict(
            option.split("=", 1) for option in (match["options"] or "").split() if "=" in option
        )
        suite, *components = match["rest"].split()
        found.append(Source(match["uri"], suite, tuple(components), options.get("signed-by", "")))
    return found


def read_sources(etc_apt: Path = Path("/etc/apt")) -> list[Source]:
    """Every entry of the machine's apt, in the order in which apt reads them."""
    found: list[Source] = []
    main = etc_apt / "sources.list"
    parts = etc_apt / "sources.list.d"
    files = [main] if main.is_file() else []
    if parts.is_dir():
        files += sorted(parts.iterdir())
    for file in files:
        if file.suffix == ".sources":
            found += parse_deb822(file.read_text())
        elif file.suffix == ".list":
            found += parse_one_line(file.read_text())
    return [source for source in found if not source.uri.startswith("cdrom:")]


def own_suite(sources: list[Source], release: Release) -> list[Source]:
    """The entries of the distribution's running release, updates and security fixes included.

    A repository of someone else may use the same suite name; the distribution's own always
    has the component ``main``, and it is the one that carries the packages asked for.
    """
    wanted = {release.codename + tail for tail in ("", "-updates", "-security")}
    exact = [s for s in sources if s.suite in wanted and "main" in s.components]
    if exact or release.identifier != "debian":
        return exact
    return [s for s in sources if s.suite in ROLLING_NAMES and "main" in s.components]


def other_suite(sources: list[Source], release: Release, suite: str) -> list[Source]:
    """Entries for another suite at the machine's own mirrors, the likeliest first.

    ``components`` and keys are those of the mirror's entry for the running release.
    """
    bases = [s for s in own_suite(sources, release) if not s.suite.endswith("-security")]
    bases += [s for s in sources if s.suite in ROLLING_NAMES and "main" in s.components]
    bases.sort(key=lambda s: not _looks_like_mirror(s.uri, release.identifier))
    found: list[Source] = []
    for base in bases:
        if base.uri not in {source.uri for source in found}:
            found.append(Source(base.uri, suite, base.components, base.signed_by))
    return found


def _looks_like_mirror(uri: str, identifier: str) -> bool:
    """Mirrors end in the distribution's name; shops with one package seldom do."""
    return bool(identifier) and identifier in uri.rstrip("/").rsplit("/", 1)[-1]
