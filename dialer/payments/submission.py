"""Charging a card in a process of its own: the side that holds the card until it is handed over.

    with Submitter(settings) as submitter:
        reference = submitter.prepare("stripe", order)
        submission = submitter.submit("stripe", order, reference, card, send_before, on_reply)
        reply = submission.wait(15.0)      # None: no answer yet; on_reply still hears it

The other side is ``dialer.payments.clean_room``.
"""

from __future__ import annotations

import json
import os
import pickle
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from dialer.config import ROOT, Settings
from dialer.domain.payment import PaymentOutcome
from dialer.logs import get_logger
from dialer.payments import gateways
from dialer.payments.clean_room import (
    CAPABILITIES,
    LONGEST,
    NOT_SENT,
    READY,
    Job,
    Room,
    Work,
    encode_card,
    read_reply,
    wipe,
)
from dialer.payments.gateway import Capabilities, Card, GatewayError, Order, Reply
from dialer.payments.masking import told

log = get_logger(__name__)

LINGER = 60.0
"""Seconds beyond ``gateway_seconds`` for which an answer is still listened for."""
START_SECONDS = 30.0
DESCRIBE_SECONDS = 10.0
# Not -m: what is pickled would belong to another module than the one that runs as __main__.
_MAIN = "from dialer.payments.clean_room import main; main()"
FACTORY = "dialer.payments.gateways:gateway_named"

OnReply = Callable[[Reply], None]


class SubmissionError(Exception):
    """The process that sends cards cannot be started; nothing was sent."""


class Submission:
    """A card on its way. ``reply`` once there is one and ``on_reply`` has taken it."""

    def __init__(self) -> None:
        self._done = threading.Event()
        self.reply: Reply | None = None

    def wait(self, seconds: float) -> Reply | None:
        """The reply; None where there is none after ``seconds``."""
        self._done.wait(seconds)
        return self.reply

    def _tell(self, reply: Reply, on_reply: OnReply) -> None:
        try:
            on_reply(reply)
        except Exception as error:  # noqa: BLE001 - found by looking it up later
            log.error("reply not written down", why=told(error))
        else:
            self.reply = reply
        finally:
            self._done.set()


class Submitter:
    """Gives jobs to the clean process, which is started again where it has died. Thread-safe."""

    def __init__(self, settings: Settings, *, factory: str = FACTORY) -> None:
        self._settings = settings
        wanted = {gateways.KNOWN.get(name) for name in settings.gateways.values()}
        preload = tuple(f"{gateways.__name__}.{name}" for name in sorted(filter(None, wanted)))
        self._room = Room(settings, factory, preload)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._known: dict[str, Capabilities] = {}
        self._listening: set[threading.Thread] = set()

    def __enter__(self) -> Self:
        """Start the clean process. Raises SubmissionError."""
        with self._lock:
            self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self, drain: float = 0.0) -> bool:
        """Stop; wait ``drain`` seconds for answers first. Whether all came."""
        end = time.monotonic() + drain
        for thread in list(self._listening):
            thread.join(max(0.0, end - time.monotonic()))
        left = bool(self._listening)
        with self._lock:
            self._stop()
        return not left

    def problem(self) -> str | None:
        """Why no card can be sent now; None: it can."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                return "the process that sends cards has ended: it is started with the next card"
        return None

    # --- what is asked of it --------------------------------------------------------------

    def capabilities(self, gateway: str) -> Capabilities:
        """What a gateway can do. Raises GatewayError (what to set first, where it is not)."""
        with self._lock:
            known = self._known.get(gateway)
        if known is None:
            answer = self._ask(Job(Work.DESCRIBE, gateway, DESCRIBE_SECONDS))
            known = CAPABILITIES.validate_python(answer["capabilities"])
            with self._lock:
                self._known[gateway] = known
        return known

    def prepare(self, gateway: str, order: Order, seconds: float | None = None) -> str | None:
        """``Gateway.prepare`` within ``seconds`` (``settings.gateway_seconds``). Raises
        GatewayError."""
        within = self._settings.gateway_seconds if seconds is None else seconds
        reference: str | None = self._ask(Job(Work.PREPARE, gateway, within, order))["provider_ref"]
        return reference

    def _ask(self, job: Job) -> dict[str, Any]:
        end = time.monotonic() + job.seconds
        try:
            card_fd, answer_fd = self._give(job)
        except SubmissionError as error:
            raise GatewayError(str(error), passing=True) from None
        os.close(card_fd)
        try:
            answer: dict[str, Any] = json.loads(_read(answer_fd, end))
        except ValueError:
            raise GatewayError("the gateway did not answer", passing=True) from None
        if "error" in answer:
            raise GatewayError(answer["error"], passing=answer["passing"])
        return answer

    def submit(
        self,
        gateway: str,
        order: Order,
        provider_ref: str | None,
        card: Card,
        send_before: datetime,
        on_reply: OnReply,
    ) -> Submission:
        """Hand the card over and wipe it; returns at once.

        ``on_reply`` hears the answer once, in a thread of its own, also long after everybody has
        stopped waiting: UNKNOWN where the other side ended without one, CONFIGURATION_ERROR with
        the reason ``NOT_SENT`` where the card certainly never left.
        """
        seconds = self._settings.gateway_seconds + LINGER
        submission = Submission()
        try:
            raw = encode_card(card)
        finally:
            card.wipe()
        answer_fd = -1
        try:
            job = Job(Work.SUBMIT, gateway, seconds, order, provider_ref, send_before)
            card_fd, answer_fd = self._give(job)
            try:
                os.write(card_fd, raw)
            finally:
                os.close(card_fd)
        except (SubmissionError, OSError) as error:
            log.error("card not handed over", payment_id=order.payment_id, why=told(error))
            if answer_fd >= 0:
                os.close(answer_fd)
            not_sent = Reply(PaymentOutcome.CONFIGURATION_ERROR, reason=NOT_SENT)
            self._listen(lambda: submission._tell(not_sent, on_reply))
            return submission
        finally:
            wipe(raw)
        end = time.monotonic() + seconds
        self._listen(lambda: submission._tell(read_reply(_read(answer_fd, end)), on_reply))
        return submission

    def _listen(self, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            finally:
                self._listening.discard(threading.current_thread())

        thread = threading.Thread(target=run, name="submission", daemon=True)
        self._listening.add(thread)
        thread.start()

    # --- the clean process ----------------------------------------------------------------

    def _give(self, job: Job) -> tuple[int, int]:
        """(where to write the card, where to read the answer). Raises SubmissionError."""
        raw = pickle.dumps(job)
        card_read, card_write = os.pipe()
        answer_read, answer_write = os.pipe()
        try:
            self._send(raw, [card_read, answer_write])
        except BaseException:
            os.close(card_write)
            os.close(answer_read)
            raise
        finally:
            os.close(card_read)
            os.close(answer_write)
        return card_write, answer_read

    def _send(self, raw: bytes, fds: list[int]) -> None:
        with self._lock:
            for attempt in (1, 2):
                if self._channel is None:
                    self._start()
                assert self._channel is not None
                try:
                    socket.send_fds(self._channel, [raw], fds)
                    return
                except OSError as error:
                    log.error("clean process lost", why=told(error), attempt=attempt)
                    self._stop()
            raise SubmissionError("the process that sends cards ends as soon as it is started")

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        env = os.environ | {"PYTHONPATH": _python_path(), "PYTHONUNBUFFERED": "1"}
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _MAIN, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    env=env,
                    stdin=subprocess.DEVNULL,
                )
            ours.settimeout(START_SECONDS)
            ours.sendall(pickle.dumps(self._room))
            if ours.recv(LONGEST) != READY:
                raise SubmissionError("the process that sends cards did not start: see its log")
            ours.settimeout(None)
        except OSError as error:
            ours.close()
            self._stop()
            raise SubmissionError(
                f"the process that sends cards cannot be started ({type(error).__name__})"
            ) from None
        except SubmissionError:
            ours.close()
            self._stop()
            raise
        self._channel = ours

    def _stop(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(5.0)  # it ends with its socket
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            self._process = None


def _python_path() -> str:
    paths = [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return os.pathsep.join(dict.fromkeys(paths))


def _read(fd: int, end: float) -> bytes:
    """Everything until the other side closes, or until ``end`` (monotonic); closes ``fd``."""
    raw = b""
    ready = select.poll()  # not select: it knows no descriptor above 1023
    ready.register(fd, select.POLLIN)
    try:
        while (left := end - time.monotonic()) > 0:
            if not ready.poll(left * 1000):
                continue
            some = os.read(fd, LONGEST)
            if not some:
                break
            raw += some
        return raw
    finally:
        os.close(fd)
