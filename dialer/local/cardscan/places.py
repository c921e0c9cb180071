"""The places that are searched: files, memory of processes, Redis, PostgreSQL."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis
from sqlalchemy import Engine, inspect, text

from dialer.local.cardscan.matcher import CHUNK, Finding, Matcher

LOG_ENDINGS = (".log", ".out", ".err", ".txt", ".csv", "")
DIGIT_LINES_AT_MOST = 256 * 1024 * 1024


class CannotSearch(Exception):
    """A place could not be looked into: the scan is not clean, whatever it found elsewhere."""


@dataclass(slots=True)
class Searched:
    """One line of the report; no digits of a card are in it. ``regions``: of memory."""

    where: str
    what: str
    bytes: int = 0
    findings: list[str] = field(default_factory=list)
    """Each names a call and a form, and where it lies."""
    trouble: str | None = None
    regions: int = 0

    def add(self, found: list[Finding], within: str = "") -> None:
        """Findings, each told once for each place."""
        for one in found:
            line = f"{one.what} at {within or 'byte'} {one.offset}"
            if line not in self.findings and len(self.findings) < 50:
                self.findings.append(line)


def search_folder(
    matcher: Matcher, where: str, folder: Path, skip: tuple[Path, ...] = ()
) -> Searched:
    """Every regular file below a folder, also those without a reader's name; never links."""
    result = Searched(where, "files")
    count = 0
    for path in sorted(folder.rglob("*")):
        if any(path == one or one in path.parents for one in skip):
            continue
        try:
            facts = path.lstat()
            if not stat.S_ISREG(facts.st_mode):
                continue
            _search_file(matcher, path, result, str(path.relative_to(folder)))
            count += 1
        except FileNotFoundError:
            continue  # of a process that is just ending
        except OSError as error:
            result.trouble = f"{path.relative_to(folder)}: {error.strerror}"
    result.what = f"files: {count}"
    return result


def _search_file(matcher: Matcher, path: Path, result: Searched, name: str) -> None:
    size = 0
    with path.open("rb") as content:
        result.add(matcher.search(_chunks(content)), name)
        size = content.tell()
    result.bytes += size
    if path.suffix in LOG_ENDINGS and size <= DIGIT_LINES_AT_MOST:
        result.add(matcher.search_digit_lines(path.read_bytes()), name)


def _chunks(content: Any) -> Iterator[bytes]:
    while piece := content.read(CHUNK):
        yield piece


def search_memory(matcher: Matcher, where: str, pid: int) -> Searched:
    """All readable memory of a process but what is a file on disk mapped read-only."""
    result = Searched(where, "memory")
    try:
        maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
        memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    except OSError as error:
        result.trouble = f"cannot be read ({error.strerror}): run the scan as root"
        return result
    try:
        for line in maps:
            fields = line.split(maxsplit=5)
            span, rights = fields[0], fields[1]
            name = fields[5] if len(fields) > 5 else ""
            if not rights.startswith("r") or name in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                continue
            if "w" not in rights and name.startswith("/"):
                continue  # code and constants of a file; the file itself holds no secret of ours
            start, end = (int(one, 16) for one in span.split("-"))
            result.regions += 1
            result.add(matcher.search(_region(memory, start, end, result)), name or "heap")
    finally:
        os.close(memory)
    result.what = f"memory, regions: {result.regions}"
    if not result.bytes:
        result.trouble = "no memory could be read: run the scan as root"
    return result


def search_family(matcher: Matcher, where: str, first: int) -> Searched:
    """``search_memory`` of a process and of all that descend from it."""
    result = Searched(where, "memory")
    count = 0
    for pid in family(first):
        found = search_memory(matcher, "", pid)
        if found.trouble and pid != first and not Path(f"/proc/{pid}").exists():
            continue  # a child that was just ending
        count += 1
        result.regions += found.regions
        result.bytes += found.bytes
        result.findings += found.findings
        result.trouble = result.trouble or found.trouble
    result.what = f"memory (processes: {count}, regions: {result.regions})"
    return result


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                found += map(int, task.read_text().split())
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


def _region(memory: int, start: int, end: int, result: Searched) -> Iterator[bytes]:
    at = start
    while at < end:
        try:
            piece = os.pread(memory, min(CHUNK, end - at), at)
        except OSError:
            return  # a hole, or the region is gone
        if not piece:
            return
        result.bytes += len(piece)
        at += len(piece)
        yield piece


def search_redis(matcher: Matcher, url: str) -> Searched:
    """Every key with its value as Redis serialises it, and the slow log with its arguments."""
    result = Searched("redis", "keys, slow log, clients")
    with Redis.from_url(url) as redis:
        keys = jobs = 0
        for key in redis.scan_iter(count=1000):
            keys += 1
            jobs += bytes(key).startswith(b"rq:job:")
            content = bytes(key) + b"\n" + _value(redis, key)
            result.bytes += len(content)
            result.add(matcher.search_bytes(content), f"key {keys}")
        slow = repr(redis.slowlog_get(100_000)).encode()
        clients = repr(redis.client_list()).encode()
        for name, content in (("slow log", slow), ("client list", clients)):
            result.bytes += len(content)
            result.add(matcher.search_bytes(content), name)
        result.what = f"keys: {keys} (jobs: {jobs}), slow log, client list"
    return result


def _value(redis: Redis, key: bytes) -> bytes:
    kind: Any = redis.type(key)
    read: dict[bytes, Any] = {
        b"string": lambda: redis.get(key),
        b"hash": lambda: redis.hgetall(key),
        b"list": lambda: redis.lrange(key, 0, -1),
        b"set": lambda: redis.smembers(key),
        b"zset": lambda: redis.zrange(key, 0, -1, withscores=True),
        b"stream": lambda: redis.xrange(key),
    }
    got = read[kind]() if kind in read else b""
    return b"\n".join(_flat(got))


def _flat(value: Any) -> Iterator[bytes]:
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, dict):
        for one in value.items():
            yield from _flat(one)
    elif isinstance(value, list | tuple | set):
        for one in value:
            yield from _flat(one)
    elif value is not None:
        yield str(value).encode()


def search_tables(matcher: Matcher, engine: Engine) -> Searched:
    """Every row of every table, as text; the files of the database are searched beside it."""
    result = Searched("database", "rows")
    rows = 0
    with engine.connect().execution_options(dialer_readonly=True) as connection:
        for name in inspect(engine).get_table_names():
            quoted = engine.dialect.identifier_preparer.quote(name)
            for row in connection.execute(text(f"SELECT * FROM {quoted}")):  # noqa: S608
                rows += 1
                content = "\x1f".join(str(one) for one in row).encode()
                result.bytes += len(content)
                result.add(matcher.search_bytes(content), f"{name} row")
    result.what = f"rows: {rows}"
    return result
