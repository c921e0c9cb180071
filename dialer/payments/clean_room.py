"""The process in which cards are sent: forked for one request from one that never heard a card.

Libraries of gateways keep what they send (in texts that cannot be wiped, in buffers, in the
objects of a request). Here it goes with the process. ``main`` runs in the one that forks, which
is started fresh by ``dialer.payments.submission``: nothing of its parent's memory is in it, and it
never reads a card itself.

On its socket: first ``Room``, answered by ``READY``; then ``Job`` after job, each with the
descriptors of two pipes: the card to read, the answer to write (JSON, one object). Both ends of
the socket belong to the same installation, hence pickle; a card only ever goes through its pipe.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pickle
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter

from dialer.config import ConfigError, Settings
from dialer.domain.payment import PaymentOutcome
from dialer.logs import get_logger
from dialer.payments.gateway import Capabilities, Card, Gateway, GatewayError, Order, Reply
from dialer.payments.hardening import die_with_parent, harden_process, what_shows
from dialer.payments.masking import configure_masked_logging, mask_output, readable, told
from dialer.payments.secret import SecretDigits

log = get_logger(__name__)

READY = b"ready"
LONGEST = 65_536
LONGEST_CARD = 512
NONE = 255
_FIRST_YEAR = 2000

CAPABILITIES = TypeAdapter(Capabilities)

NOT_SENT = "not_sent"
"""Reason of a reply: the card certainly never left."""


class Work(StrEnum):
    """What a child does."""

    DESCRIBE = "describe"  # what the gateway can do
    PREPARE = "prepare"
    SUBMIT = "submit"


@dataclass(frozen=True, slots=True)
class Room:
    """What all children need. ``factory``: ``module:function`` of (settings, name) -> Gateway;
    ``preload``: modules that are imported once, before the first fork."""

    settings: Settings
    factory: str
    preload: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """One child's work. ``seconds``: its life, however it goes; ``order``: None to describe."""

    work: Work
    gateway: str
    seconds: float
    order: Order | None = None
    provider_ref: str | None = None
    send_before: datetime = datetime.max.replace(tzinfo=UTC)

    @property
    def ordered(self) -> Order:
        """The order of a job that has one."""
        if self.order is None:
            raise ValueError(f"nothing to {self.work.value}")
        return self.order


# --- a card in a pipe ----------------------------------------------------------------------


def encode_card(card: Card) -> bytearray:
    """A card in a few bytes, two digits in one; the caller wipes them. Raises ValueError."""
    postal = (card.postal_code or "").encode("ascii", "replace")
    if not 0 <= card.year - _FIRST_YEAR < NONE or not 1 <= card.month <= 12:
        raise ValueError("no such date")
    code = card.security_code
    lengths = (len(card.number), NONE if code is None else len(code), len(postal))
    if max(lengths[0], lengths[2]) >= NONE:
        raise ValueError("too long for a card")
    made = bytearray(LONGEST_CARD)
    made[:5] = bytes((card.month, card.year - _FIRST_YEAR, *lengths))
    at = _pack(made, 5, card.number)
    if code is not None:
        at = _pack(made, at, code)
    made[at : at + len(postal)] = postal
    return made


def decode_card(raw: bytearray) -> Card:
    """What ``encode_card`` made; ``raw`` is not wiped."""
    month, year, number_length, code_length, postal_length = raw[:5]
    number, at = _unpack(raw, 5, number_length)
    code = None
    if code_length != NONE:
        code, at = _unpack(raw, at, code_length)
    postal = raw[at : at + postal_length].decode("ascii") or None
    return Card(number, month, _FIRST_YEAR + year, code, postal)


def _pack(into: bytearray, at: int, digits: SecretDigits) -> int:
    with digits.reveal() as shown:
        for index in range(len(shown)):
            into[at + index // 2] |= (shown[index] - 48) << (0 if index % 2 else 4)
    return at + (len(digits) + 1) // 2


def _unpack(raw: bytearray, at: int, count: int) -> tuple[SecretDigits, int]:
    digits = SecretDigits()
    for index in range(count):
        digits.add(48 + ((raw[at + index // 2] >> (0 if index % 2 else 4)) & 15))
    return digits, at + (count + 1) // 2


def wipe(raw: bytearray) -> None:
    """Overwrite in place."""
    for index in range(len(raw)):
        raw[index] = 0


# --- the answer ----------------------------------------------------------------------------


def reply_json(reply: Reply) -> dict[str, Any]:
    """As it goes through the pipe."""
    return {"reply": asdict(reply)}


def read_reply(raw: bytes) -> Reply:
    """What a child said; anything that is no answer is UNKNOWN."""
    try:
        given = json.loads(raw)["reply"]
        return Reply(**{**given, "outcome": PaymentOutcome(given["outcome"])})
    except (ValueError, KeyError, TypeError):
        return Reply(PaymentOutcome.UNKNOWN, reason="no_answer")


# --- one child -----------------------------------------------------------------------------


def _child(room: Room, job: Job, card_fd: int, answer_fd: int, parent: int) -> None:
    """Do the job and end; never returns."""
    try:
        # Also a library that waits for ever ends: the default of SIGALRM is the end.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, job.seconds)
        die_with_parent(parent)
        if job.order is not None:
            readable(job.order.payment_id)
        answer = _submit(room, job, card_fd) if job.work is Work.SUBMIT else _ask(room, job)
        os.write(answer_fd, json.dumps(answer).encode())
    except BaseException as error:  # noqa: BLE001 - nothing may be printed, and nothing goes on
        log.error("submission broke", work=job.work.value, why=told(error))
    finally:
        os._exit(0)


def _ask(room: Room, job: Job) -> dict[str, Any]:
    """What needs no card."""
    try:
        gateway = _gateway(room, job)
        if job.work is Work.DESCRIBE:
            return {"capabilities": CAPABILITIES.dump_python(gateway.capabilities(), mode="json")}
        return {"provider_ref": gateway.prepare(job.ordered)}
    except GatewayError as error:
        return {"error": str(error), "passing": error.passing}
    except ConfigError as error:
        return {"error": str(error), "passing": False}


def _submit(room: Room, job: Job, card_fd: int) -> dict[str, Any]:
    shown = what_shows()
    if shown is not None:
        log.error("no card taken", why=shown)
        return reply_json(_not_sent())
    try:
        gateway = _gateway(room, job)
    except ConfigError as error:
        log.error("gateway not set up", gateway=job.gateway, why=str(error))
        return reply_json(_not_sent())
    card = _read_card(card_fd)
    if card is None:
        return reply_json(_not_sent())
    try:
        if datetime.now(UTC) >= job.send_before:
            log.warning("too late to send", payment_id=job.ordered.payment_id)
            return reply_json(_not_sent())
        return reply_json(_charge(gateway, job, card))
    finally:
        card.wipe()


def _charge(gateway: Gateway, job: Job, card: Card) -> Reply:
    try:
        return gateway.submit(job.ordered, job.provider_ref, card)
    except Exception as error:  # noqa: BLE001 - it may have been sent: nobody knows
        log.error("gateway broke", gateway=job.gateway, why=told(error))
        return Reply(PaymentOutcome.UNKNOWN, reason="gateway_broke")


def _not_sent() -> Reply:
    return Reply(PaymentOutcome.CONFIGURATION_ERROR, reason=NOT_SENT)


def _gateway(room: Room, job: Job) -> Gateway:
    made: Gateway = _named(room.factory)(room.settings, job.gateway)
    return made


def _named(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


def _read_card(card_fd: int) -> Card | None:
    raw = bytearray(LONGEST_CARD)
    try:
        # Written at once, and smaller than what a pipe takes at once: read at once.
        if os.readv(card_fd, [raw]) != LONGEST_CARD:
            return None  # whoever had it has gone
        return decode_card(raw)
    finally:
        wipe(raw)
        os.close(card_fd)


# --- the one that forks --------------------------------------------------------------------


def serve(channel: socket.socket) -> None:
    """Fork a child for each job until the other end closes. Raises NotHardened."""
    raw = channel.recv(LONGEST)
    if not raw:
        return
    room: Room = pickle.loads(raw)  # noqa: S301 - from the parent, see above
    mask_output()
    configure_masked_logging(room.settings)
    harden_process()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # it ends when its parent does
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    _named(room.factory)
    for name in room.preload:
        try:
            importlib.import_module(name)
        except ImportError:
            pass  # told when that gateway is asked for
    gc.collect()
    gc.freeze()
    channel.sendall(READY)
    own = os.getpid()
    while True:
        try:
            raw, fds, _, _ = socket.recv_fds(channel, LONGEST, 2)
        except ConnectionError:
            return
        if not raw or len(fds) != 2:
            return
        if os.fork() == 0:
            channel.close()
            job: Job = pickle.loads(raw)  # noqa: S301 - from the parent, see above
            _child(room, job, fds[0], fds[1], own)
        for fd in fds:
            os.close(fd)


def main() -> None:
    """The process: its one argument is the number of the socket's descriptor."""
    serve(socket.socket(fileno=int(sys.argv[1])))
