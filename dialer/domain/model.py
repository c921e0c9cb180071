"""The words of the dialer as values.

Everything here is frozen and knows neither database nor telephony. Times are aware UTC
``datetime``; latencies are floats in milliseconds; money is an integer of minor units (cents)
beside an ISO 4217 code, so that no amount is ever a float.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from enum import StrEnum


class LineType(StrEnum):
    """What kind of line a number is, as far as numbering plans tell."""

    MOBILE = "mobile"
    FIXED = "fixed"
    FIXED_OR_MOBILE = "fixed_or_mobile"  # Mexico and the USA: the plan cannot tell
    OTHER = "other"
    UNKNOWN = "unknown"

    @property
    def takes_sms(self) -> bool:
        """Only a number known to be mobile is texted; a doubtful one needs a stored flag."""
        return self is LineType.MOBILE


class Channel(StrEnum):
    """A way to reach a debtor; caps count over all of them together."""

    VOICE = "voice"
    SMS = "sms"


class CampaignState(StrEnum):
    """Draft until first started; stopped is final, paused is not."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    FINISHED = "finished"


class LeadState(StrEnum):
    """Where a lead stands in its campaign."""

    WAITING = "waiting"
    CLAIMED = "claimed"
    DONE = "done"


class AttemptState(StrEnum):
    """The life of one dial; only ever moves forward (see ``ORDER``)."""

    CREATED = "created"  # committed, nothing has left yet
    DIALLING = "dialling"  # the INVITE is out
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"


class Disposition(StrEnum):
    """How a contact ended, as distinct from the hangup cause the network gave."""

    BUSY = "busy"
    NO_ANSWER = "no_answer"
    CONGESTION = "congestion"
    REJECTED = "rejected"
    INVALID_NUMBER = "invalid_number"
    FAILED = "failed"
    MACHINE = "machine"
    ANSWERED_ABANDONED = "answered_abandoned"
    NO_INPUT = "no_input"  # answered without input: stayed to the end, no key
    INCOMPLETE = "incomplete"  # pressed a key, left before any outcome
    WRONG_PERSON = "wrong_person"
    REFUSED_IDENTITY = "refused_identity"
    PROMISE = "promise"
    LINK_SENT = "link_sent"
    OPTED_OUT = "opted_out"
    WANTS_AGENT = "wants_agent"
    CALLBACK = "callback"
    PAID = "paid"
    SPOKE = "spoke"  # an agent talked with them, and nothing more definite came of it
    ABANDONED = "abandoned"  # answered, and no agent within two seconds: they heard the message

    @property
    def conversation(self) -> bool:
        """The debtor was reached and did something: nothing more is tried after it."""
        return self in _CONVERSATIONS

    @property
    def answered(self) -> bool:
        """Somebody or something picked up."""
        return self in _ANSWERED


_CONVERSATIONS = frozenset(
    {
        Disposition.WRONG_PERSON,
        Disposition.REFUSED_IDENTITY,
        Disposition.PROMISE,
        Disposition.LINK_SENT,
        Disposition.OPTED_OUT,
        Disposition.WANTS_AGENT,
        Disposition.CALLBACK,
        Disposition.PAID,
        Disposition.SPOKE,
    }
)
_ANSWERED = _CONVERSATIONS | {
    Disposition.MACHINE,
    Disposition.ANSWERED_ABANDONED,
    Disposition.NO_INPUT,
    Disposition.INCOMPLETE,
    Disposition.ABANDONED,
}


class Outcome(StrEnum):
    """What the flow itself concluded; becomes the disposition of the same name."""

    NO_INPUT = "no_input"
    INCOMPLETE = "incomplete"
    WRONG_PERSON = "wrong_person"
    REFUSED_IDENTITY = "refused_identity"
    PROMISE = "promise"
    LINK_SENT = "link_sent"
    OPTED_OUT = "opted_out"
    WANTS_AGENT = "wants_agent"
    CALLBACK = "callback"
    PAID = "paid"
    SPOKE = "spoke"


class DialMode(StrEnum):
    """How a campaign decides when to call (agentless: nobody has to be free for it)."""

    AGENTLESS = "agentless"
    PREVIEW = "preview"
    PROGRESSIVE = "progressive"
    POWER = "power"
    ADAPTIVE = "adaptive"
    PREDICTIVE = "predictive"

    @property
    def needs_agents(self) -> bool:
        """Answered calls go to agents."""
        return self is not DialMode.AGENTLESS

    @property
    def overdials(self) -> bool:
        """More lines than free agents: somebody may be abandoned."""
        return self in (DialMode.POWER, DialMode.ADAPTIVE, DialMode.PREDICTIVE)


class AgentState(StrEnum):
    """What an agent is doing."""

    LOGGED_OUT = "logged_out"
    AVAILABLE = "available"
    RESERVED = "reserved"  # a call is promised to them, it has not joined yet
    TALKING = "talking"
    WRAP_UP = "wrap_up"
    PAUSED = "paused"


class AgentCallKind(StrEnum):
    """Why a debtor comes to an agent."""

    ESCALATION = "escalation"  # asked for a person, or failed at something, in a flow
    PREDICTIVE = "predictive"  # answered a call that was placed for agents, in whatever mode
    PREVIEW = "preview"
    INBOUND = "inbound"
    CALLBACK = "callback"
    TRANSFER = "transfer"


class AgentCallResult(StrEnum):
    """How a wait for an agent ended."""

    SERVED = "served"
    ABANDONED = "abandoned"  # nobody within the hold: the message was said
    GAVE_UP = "gave_up"  # hung up while waiting
    CALLBACK = "callback"
    LINK = "link"
    MACHINE = "machine"  # no person waited at all
    TIMEOUT = "timeout"  # waited as long as may be, was told that somebody will call
    LOST = "lost"  # nobody saw the end: a crash lay between


class DetectionResult(StrEnum):
    """Who or what answered."""

    PERSON = "person"
    MACHINE = "machine"
    FAX = "fax"
    UNKNOWN = "unknown"


class MachineAction(StrEnum):
    """What a campaign does on a machine."""

    HANG_UP = "hang_up"
    LEAVE_MESSAGE = "leave_message"  # limited content, after the beep


class Detector(StrEnum):
    """Which answering-machine detector runs."""

    TALK = "talk"  # beside the greeting, from talk-detection events
    APP_AMD = "app_amd"  # Asterisk's, before the greeting: costs dead air
    NONE = "none"


class StepKind(StrEnum):
    """A step of the fallback after answered-abandoned."""

    REDIAL = "redial"
    SMS = "sms"
    RETRY = "retry"


class Refusal(StrEnum):
    """Why a contact or a fallback step was not allowed."""

    OUTSIDE_WINDOW = "outside_window"
    DAILY_CAP = "daily_cap"
    WEEKLY_CAP = "weekly_cap"
    DO_NOT_CALL = "do_not_call"
    OPTED_OUT = "opted_out"
    NOT_MOBILE = "not_mobile"
    NO_CALLER_ID = "no_caller_id"
    NO_PHONE = "no_phone"
    IN_CALL = "in_call"  # the debtor, or the telephone, has a call in the air
    NO_TEXT = "no_text"  # the step's template is not there in the debtor's language
    PAID = "paid"  # nothing is owed any more
    PAYMENT_PENDING = "payment_pending"  # money may have been taken: not known yet
    CAMPAIGN_NOT_RUNNING = "campaign_not_running"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    ABANDONED_LOCKOUT = "abandoned_lockout"  # was abandoned a short while ago
    TOO_LATE = "too_late"  # the moment for "at once" has passed: a crash or an outage lay between


class MessageState(StrEnum):
    """A message's life; ``RANK`` in dialer.domain.message decides what is forward."""

    PENDING = "pending"  # committed, nothing has left
    SENDING = "sending"  # a worker has it; after a crash: looked up, never blindly repeated
    SENT = "sent"  # the provider has accepted it
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units (1250 = 12.50 EUR; CLP has no minor unit, 1250 = 1250 CLP)."""

    minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class DayWindow:
    """When calls may be made on one weekday (Monday is 0), debtor's local time, end excluded."""

    weekday: int
    start: time
    end: time


@dataclass(frozen=True, slots=True)
class ContactRules:
    """What the policy holds a campaign to. Caps count calls and messages together."""

    window: tuple[DayWindow, ...]
    max_per_day: int = 4  # a day is the debtor's own calendar day
    max_per_week: int = 7  # any 7 x 24 h; 12 CFR 1006.14(b)(2) presumes harassment above 7
    holidays: frozenset[date] = frozenset()


@dataclass(frozen=True, slots=True)
class RetryRule:
    """When a lead is tried again after a disposition."""

    delay: float  # seconds
    growth: float = 1.0  # the delay is multiplied by this at each further attempt
    max_delay: float = 7 * 86400.0
    max_attempts: int = 3  # attempts of this disposition before the lead is closed


@dataclass(frozen=True, slots=True)
class FallbackStep:
    """One step tried after answered-abandoned.

    ``flow`` (redial) replaces the campaign's flow; ``template`` (sms) names the text;
    ``unseen_days`` (redial): the caller ID must not have been shown to this phone for so long.
    """

    kind: StepKind
    flow: str | None = None
    template: str | None = None
    unseen_days: float = 7.0


@dataclass(frozen=True, slots=True)
class PaymentTerms:
    """What a campaign allows. ``minimum_percent`` of what is owed, and at least ``minimum_minor``,
    for a part; ``instalments``: the number of them (0: no plan), the first may be paid now.
    ``gateway``: None leaves it to the country (``Settings.gateways``). ``minimum_currency``: of
    ``minimum_minor``; a debt in another currency is held to the percentage alone."""

    gateway: str | None = None
    minimum_percent: int = 10
    minimum_minor: int = 0
    instalments: int = 0
    minimum_currency: str | None = None

    def in_currency(self, currency: str) -> PaymentTerms:
        """As they hold for a debt in this currency."""
        if self.minimum_currency in (None, currency):
            return self
        return replace(self, minimum_minor=0, minimum_currency=None)


@dataclass(frozen=True, slots=True)
class AgentTerms:
    """How a campaign works with agents.

    ``skill``: which agents ("": all). ``ratio``: lines for each free agent (power). ``hold``: the
    longest wait of who answered, seconds, before the safe-harbour message (16 CFR 310.4(b)(4):
    two). ``max_abandoned``: share of live answers over ``window_days``. ``ring_min``: a phone
    rings for so long at least, seconds (16 CFR 310.4(b)(4): fifteen). ``wrap``: seconds after a
    talk. ``whisper``: the agent hears who and why before the debtor joins. ``lock_out_hours``:
    who was abandoned gets no further such call for so long.
    """

    mode: DialMode = DialMode.AGENTLESS
    skill: str = ""
    ratio: float = 1.5
    hold: float = 2.0
    max_abandoned: float = 0.03
    window_days: float = 1.0
    ring_min: float = 15.0
    wrap: float = 30.0
    max_lines_per_agent: float | None = None
    whisper: bool = False
    lock_out_hours: float = 72.0


@dataclass(frozen=True, slots=True)
class CampaignPlan:
    """Everything a running campaign is told: the value behind its YAML file.

    ``calls_per_second`` and ``max_concurrent`` are caps of the campaign; the trunk has its own.
    ``ring_timeout`` in seconds. ``caller_ids`` in E.164. ``retry`` by disposition; one that is
    missing closes the lead. ``max_attempts`` and ``max_attempts_per_day`` count over all
    dispositions of a lead. ``record``: calls are recorded (muted while a card is entered).
    """

    name: str
    flow: str
    language: str
    caller_ids: tuple[str, ...]
    trunk: str
    rules: ContactRules
    retry: dict[Disposition, RetryRule] = field(default_factory=dict)
    fallback: tuple[FallbackStep, ...] = (
        FallbackStep(StepKind.REDIAL),
        FallbackStep(StepKind.SMS, template="missed_call"),
        FallbackStep(StepKind.RETRY),
    )
    calls_per_second: float = 5.0
    max_concurrent: int = 100
    max_attempts: int = 8
    max_attempts_per_day: int = 4
    ring_timeout: float = 25.0
    detector: Detector = Detector.TALK
    on_machine: MachineAction = MachineAction.LEAVE_MESSAGE
    default_timezone: str = "Europe/Madrid"
    payment: PaymentTerms = PaymentTerms()
    record: bool = False
    agents: AgentTerms = AgentTerms()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One dial, from its commit to its disposition.

    ``id`` is also the channel id and the AMI action id. ``follows`` is the attempt whose
    fallback this one is, ``fallback_index`` the step of the plan that made it (-1: none).
    ``keys`` are menu choices as pressed, never card digits. ``sip_status`` is the final SIP
    response (486), ``q850`` the cause (17). ``inbound``: the debtor called; ``number`` is theirs,
    ``caller_id`` the one they called. ``agent_joined_at``: when the debtor first was in an agent's
    conference; ``abandoned_at``: when the safe-harbour message began, for want of an agent.
    """

    id: str
    campaign_id: int
    lead_id: int
    debtor_id: int
    phone_id: int
    number: str
    caller_id: str
    trunk: str
    node: str
    flow: str
    placed_at: datetime
    follows: str | None = None
    fallback_index: int = -1
    state: AttemptState = AttemptState.CREATED
    dialled_at: datetime | None = None
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    first_key_at: datetime | None = None
    hangup_requested_at: datetime | None = None
    ended_at: datetime | None = None
    hung_up_by_debtor: bool = False
    q850: int | None = None
    sip_status: int | None = None
    detection: DetectionResult | None = None
    detection_reason: str | None = None
    last_node: str | None = None
    last_prompt: str | None = None
    keys: str = ""
    identity_confirmed: bool = False
    outcome: Outcome | None = None
    disposition: Disposition | None = None
    failure: str | None = None
    mode: DialMode = DialMode.AGENTLESS
    inbound: bool = False
    agent_joined_at: datetime | None = None
    abandoned_at: datetime | None = None

    def with_(self, **changes: object) -> Attempt:
        """A copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]
