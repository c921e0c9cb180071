"""The IVR in tests: a real server on a port of its own, and Asterisk's side of its protocol."""

from __future__ import annotations

import shlex
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import pytest
from flows import FLOWS
from sqlalchemy import Engine, update
from world import POOL, World

from agi_scripts.server import AgiServer
from agi_scripts.session import Ivr
from agi_scripts.shelf import Shelf
from agi_scripts.sounds import Sounds
from dialer.config import Settings, load_settings
from dialer.domain.model import Attempt, AttemptState, LineType
from dialer.flow.prompts import prompt_texts
from dialer.store import tables as t
from dialer.store.attempts import insert_attempts

NOW = datetime(2026, 3, 10, 11, tzinfo=UTC)
DOCUMENT = "12345678Z"
WAIT = 10.0
"""Seconds after which something that must happen has not."""


def write_sounds(folder: Path, content: bytes = b"\xff" * 800) -> None:
    """Every prompt as a short sound (100 ms of silence, unless ``content`` is other u-law)."""
    for language in ("es", "en"):
        for key in prompt_texts(FLOWS, language, {"company": ["Acme"]}):
            path = folder / language / f"{key}.ulaw"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


@pytest.fixture(scope="session")
def ivr_sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a short sound for every prompt."""
    folder = tmp_path_factory.mktemp("sounds")
    write_sounds(folder)
    return folder


@dataclass
class Office:
    """A database with calls in it, and an IVR that serves them.

    ``enqueued``: ids of messages handed to the workers. ``url`` breaks with ``break_database``.
    """

    settings: Settings
    engine: Engine
    world: World
    ivr: Ivr
    server: AgiServer
    enqueued: list[int]

    def call(
        self,
        *,
        line_type: LineType = LineType.MOBILE,
        document: str = DOCUMENT,
        flow: str = "reminder",
        number: str = "",
        **debtor: object,
    ) -> str:
        """An attempt as the engine commits it; its id."""
        lead_id = self.world.lead(*filter(None, [number]), line_type=line_type)
        attempt_id = uuid.uuid4().hex
        with self.engine.begin() as c:
            lead = c.execute(t.lead.select().where(t.lead.c.id == lead_id)).one()
            phone = c.execute(t.phone.select().where(t.phone.c.debtor_id == lead.debtor_id)).one()
            # The document is unique in a company; tests tell debtors apart by its letters.
            unique = f"{document}{'X' * lead.debtor_id}" if document else "X" * lead.debtor_id
            c.execute(
                update(t.debtor)
                .where(t.debtor.c.id == lead.debtor_id)
                .values(document=unique, **debtor)
            )
            insert_attempts(
                c,
                [
                    Attempt(
                        id=attempt_id, campaign_id=self.world.campaign_id, lead_id=lead_id,
                        debtor_id=lead.debtor_id, phone_id=phone.id, number=phone.number,
                        caller_id=POOL[0], trunk="carrier", node="node1", flow=flow,
                        placed_at=NOW, state=AttemptState.CREATED,
                    )
                ],
            )  # fmt: skip
        return attempt_id

    def settle(self) -> None:
        """Wait until no session goes on: what a hang-up leads to comes after it."""
        assert self.server.wait_idle(WAIT), "a session goes on"

    def dial(self, attempt_id: str, script: str = "flow", **how: object) -> Asterisk:
        """Asterisk comes with this call."""
        return Asterisk(self.server.port, attempt_id, script, **how)  # type: ignore[arg-type]


@contextmanager
def office(
    engine: Engine,
    home: Path,
    sounds: Path,
    *,
    flows_dir: Path = FLOWS,
    port: int = 0,
    enqueue: Callable[[int], None] | None = None,
    **others: object,
) -> Iterator[Office]:
    """An IVR on a free port, with the sounds of ``sounds``; ``others``: settings."""
    settings = load_settings(home=home, flows_dir=flows_dir, log_level="warning", **others)
    enqueued: list[int] = []
    ivr = Ivr(
        settings=settings,
        engine=engine,
        shelf=Shelf(flows_dir),
        sounds=Sounds(sounds),
        enqueue=enqueue or enqueued.append,
        clock=lambda: NOW,
    )
    with AgiServer(ivr, "127.0.0.1", port) as server:
        yield Office(settings, engine, World(engine, at=NOW), ivr, server, enqueued)


class Ended(Exception):
    """The server has closed the connection."""


@dataclass
class Asterisk:
    """Asterisk's side of one FastAGI session.

    ``answers``: what the debtor does at each question (GET DATA): keys, ``-`` no key, ``#``.
    ``over``: keys pressed over a file, by a part of its name. ``hang_up``: (a part of a command,
    how): at that command the call is gone, told by ``result`` (-1), ``inline`` (HANGUP, then
    511), ``dead`` (511), ``eof`` or ``reset``.
    """

    port: int
    attempt_id: str
    script: str = "flow"
    answers: str = ""
    over: dict[str, str] = field(default_factory=dict)
    hang_up: tuple[str, str] | None = None
    language: str = "es"
    env: dict[str, str] = field(default_factory=dict)
    """What Asterisk says of the channel in another way than of a call of ours."""
    went_to: str = ""
    """Where the dialplan was told to go on."""
    variables: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    played: list[str] = field(default_factory=list)
    events: list[dict[str, str]] = field(default_factory=list)
    before_answer: Callable[[str], None] | None = None

    def __post_init__(self) -> None:
        self._left = self.answers.split()
        self._socket = socket.create_connection(("127.0.0.1", self.port), timeout=WAIT)
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Go away."""
        self._file.close()
        self._socket.close()

    def greet(self) -> None:
        """What Asterisk says of a channel."""
        told = {
            "agi_network": "yes",
            "agi_network_script": self.script,
            "agi_request": f"agi://127.0.0.1:{self.port}/{self.script}",
            "agi_channel": "PJSIP/carrier-00000001",
            "agi_language": "en",
            "agi_type": "PJSIP",
            "agi_uniqueid": self.attempt_id,
            "agi_version": "22.10.1",
            "agi_callerid": "910000000",
            "agi_callingpres": "0",
            "agi_dnid": "unknown",
            "agi_context": "dialer-outbound",
            "agi_extension": "s",
            "agi_priority": "9",
            "agi_enhanced": "0.0",
            "agi_accountcode": "",
            "agi_threadid": "1",
        } | self.env
        self._send("".join(f"{name}: {value}\n" for name, value in told.items()) + "\n")

    def run(self) -> Self:
        """The whole session, until the server closes."""
        self.greet()
        try:
            while True:
                self.serve_one()
        except Ended:
            return self
        finally:
            self.close()

    def serve_one(self) -> str:
        """Answer one command, which is returned. Raises Ended when there is none."""
        try:
            line = self._file.readline().decode().rstrip("\n")
        except ConnectionError:
            raise Ended from None
        if not line:
            raise Ended
        self.commands.append(line)
        if self.hang_up is not None and self.hang_up[0] in line:
            self._go(self.hang_up[1])
            return line
        answer = self._answer(shlex.split(line))
        if self.before_answer is not None:
            self.before_answer(line)
        self._send(answer + "\n")
        return line

    def _send(self, text: str) -> None:
        try:
            self._socket.sendall(text.encode())
        except ConnectionError:
            raise Ended from None

    def _go(self, how: str) -> None:
        self.hang_up = ("", "dead")  # whatever comes now is too late
        match how:
            case "result":
                self._send("200 result=-1\n")
            case "inline":
                self._send("HANGUP\n200 result=0 endpos=1\n")
            case "dead":
                self._send("511 Command Not Permitted on a dead channel or intercept routine\n")
            case "eof":
                self._socket.shutdown(socket.SHUT_RDWR)
            case "reset":
                # No time to linger: the far end gets a reset in place of an end.
                self._socket.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
                )
                self.close()
                raise Ended

    def _answer(self, words: list[str]) -> str:
        match words:
            case ["EXEC", "StopMixMonitor", ""] | ["SET", "MUSIC", "on" | "off", "default"]:
                return "200 result=0"
            case ["EXEC", "Goto", where]:
                self.went_to = where
                return "200 result=0"
            case ["EXEC", "Wait", _seconds]:
                return "200 result=0"
            case ["EXEC", "Hangup", _cause]:
                return "200 result=-1"
            case ["ANSWER"]:
                return "200 result=0"
            case ["SET", "VARIABLE", name, value]:
                self.variables[name] = value
                return "200 result=1"
            case ["WAIT", "FOR", "DIGIT", _milliseconds]:
                word = self._left.pop(0) if self._left else "x"
                return {"x": "200 result=-1", "-": "200 result=0"}.get(
                    word, f"200 result={ord(word[0])}"
                )
            case ["EXEC", "UserEvent", body]:
                _name, *fields = body.split(",")
                self.events.append(dict(one.split(": ", 1) for one in fields))
                return "200 result=0"
            case ["GET", "VARIABLE", "DIALER_LANGUAGE"]:
                return f"200 result=1 ({self.language})" if self.language else "200 result=0"
            case ["STREAM", "FILE", path, keys, _offset]:
                return self._stream(path, keys)
            case ["GET", "DATA", path, _timeout, most]:
                return self._get_data(path, int(most))
        return "510 Invalid or unknown command"

    def _stream(self, path: str, keys: str) -> str:
        self._play(path)
        key = self._pressed_over(path)
        if key and key[0] in keys:
            return f"200 result={ord(key[0])} endpos=400"
        return "200 result=0 endpos=800"

    def _get_data(self, path: str, most: int) -> str:
        if path:
            self._play(path)
        word = self._pressed_over(path) or (self._left.pop(0) if self._left else "x")
        match word:
            case "x":
                return "200 result=-1"
            case "-":
                return "200 result= (timeout)"
            case "#":
                return "200 result="
        if len(word) < most and not word.endswith("#"):
            return f"200 result={word} (timeout)"
        if len(word) > most:
            self._left.insert(0, word[most:])
        return f"200 result={word[:most].rstrip('#')}"

    def _play(self, path: str) -> None:
        assert Path(f"{path}.ulaw").exists(), f"Asterisk has no such file: {path}"
        self.played.append("/".join(path.split("/")[-2:] if "/" in path else [path]))

    def _pressed_over(self, path: str) -> str:
        return next((self.over.pop(part) for part in list(self.over) if part in path), "")

    # --- what was seen --------------------------------------------------------------------

    def of_kind(self, kind: str) -> list[dict[str, str]]:
        """The user events of a kind, in order."""
        return [one for one in self.events if one["Kind"] == kind]

    @property
    def prompts(self) -> list[str]:
        """The prompts announced, in order."""
        return [one["Prompt"] for one in self.of_kind("prompt")]

    @property
    def keys(self) -> list[str]:
        """The keys announced, in order."""
        return [one["Key"] for one in self.of_kind("key")]

    @property
    def outcomes(self) -> list[str]:
        """The outcomes announced, in order."""
        return [one["Outcome"] for one in self.of_kind("outcome")]


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Do it ``count`` times at once; raises what the first of them raised."""
    errors: list[BaseException] = []

    def one(index: int) -> None:
        try:
            work(index)
        except BaseException as error:  # noqa: BLE001 - handed to the test
            errors.append(error)

    threads = [threading.Thread(target=one, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if errors:
        raise errors[0]
