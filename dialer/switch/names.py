"""Every name that crosses a process: Asterisk's configuration, the IVR and the engine share it.

Templates of ``asterisk_conf`` get this module as ``names``, so that a name is spelled once.
Names that Asterisk itself gives (events, headers of its own) are in ``dialer.switch.parsing``.
"""

from __future__ import annotations

from typing import Final

# --- dialplan of the product ---------------------------------------------------------------

CONTEXT_OUTBOUND: Final = "dialer-outbound"
"""Where an answered call enters (exten ``START``)."""
CONTEXT_MACHINE: Final = "dialer-machine"
"""Where the engine redirects a call answered by a machine (exten ``START``)."""
CONTEXT_WAIT: Final = "dialer-wait"
"""Where a call placed for an agent waits when it was answered, ``VAR_HOLD`` seconds at most."""
CONTEXT_APOLOGY: Final = "dialer-apology"
"""The safe-harbour message: nobody was free."""
CONTEXT_QUEUE: Final = "dialer-queue"
"""Who asked for a person waits here for one."""
CONTEXT_TALK: Final = "dialer-talk"
"""The debtor joins an agent's conference (exten: its name)."""
CONTEXT_HOLD: Final = "dialer-hold"
CONTEXT_ASSIST: Final = "dialer-assist"
"""The debtor keys a card in while an agent looks on (exten: the pay session)."""
CONTEXT_COACH: Final = "dialer-coach"
"""The agent is heard by a debtor who keys a card in, and hears nothing (exten: the attempt)."""
CONTEXT_SAY: Final = "dialer-say"
"""A file is said into a conference, for the agent's ear alone."""
CONTEXT_LISTEN: Final = "dialer-listen"
"""A supervisor hears a conference (exten: its name)."""
CONTEXT_WHISPER: Final = "dialer-whisper"
"""A supervisor speaks to an agent alone (exten: unique id of the agent's leg)."""
CONTEXT_THIRD: Final = "dialer-third"
"""Somebody else joins a conference (exten: its name): a third party, an announcement."""
CONTEXT_AGENTS: Final = "dialer-agents"
"""Where browsers call in (exten: the leg token of their session)."""
CONTEXT_AGENT_LEG: Final = "dialer-agent-leg"
"""Where an agent's telephone enters that was called (exten ``START``, ``VAR_SEAT`` set)."""
CONTEXT_APART: Final = "dialer-apart"
"""Where a debtor goes who is left with an outside party (exten: their conference): the call ends
when that party hangs up."""
CONTEXT_INBOUND: Final = "dialer-inbound"
"""Where calls from trunks enter."""
START: Final = "s"
START_PRIORITY: Final = 1

# --- channel variables set at Originate ----------------------------------------------------

VAR_DETECTOR: Final = "DIALER_DETECTOR"
"""A ``Detector``: talk, app_amd, none."""
VAR_FLOW: Final = "DIALER_FLOW"
VAR_LANGUAGE: Final = "DIALER_LANGUAGE"
VAR_RECORD: Final = "DIALER_RECORD"
"""``1``: the call is recorded."""
VAR_ON_MACHINE: Final = "DIALER_ON_MACHINE"
"""A ``MachineAction``: hang_up, leave_message."""

VAR_HOLD: Final = "DIALER_HOLD"
"""How long an answered call waits for an agent, seconds."""
VAR_SEAT: Final = "DIALER_SEAT"
"""The conference of an agent's leg: the id of the agent's session."""
VAR_TALK: Final = "DIALER_TALK"
"""The conference that a debtor comes back to after paying or being held."""
VAR_RECORDING_PAUSED: Final = "DIALER_RECORDING_PAUSED"
"""``1`` on a debtor's channel: the agent has paused the recording; whoever mutes it for reasons of
their own leaves it muted."""
VAR_SAY: Final = "DIALER_SAY"
"""Path of the file to be said into a conference, without its ending."""

ORIGINATE_VARIABLES: Final = (
    VAR_DETECTOR,
    VAR_FLOW,
    VAR_HOLD,
    VAR_LANGUAGE,
    VAR_ON_MACHINE,
    VAR_RECORD,
)

MUSIC_DEFAULT: Final = "default"
MUSIC_SILENCE: Final = "silence"
"""Class of music that is digital silence: Asterisk sends nothing while a key is awaited, and an
agent who speaks to the debtor alone is mixed only into what it sends."""

# --- FastAGI -------------------------------------------------------------------------------

AGI_FLOW: Final = "flow"
"""Path of the entry that interprets the campaign's flow."""
AGI_MACHINE: Final = "machine"
"""Path of the entry that leaves the message, after the beep."""

AGI_AGENT: Final = "agent"
"""Path of the entry that lets a browser's leg in, by its token."""
AGI_QUEUE: Final = "queue"
"""Path of the entry that tells who waits for a person where they stand, and what else they may
choose."""
AGI_ABANDONED: Final = "abandoned"
"""Path of the entry that says the safe-harbour message."""
AGI_INBOUND: Final = "inbound"
"""Path of the entry for a debtor who calls back."""

AGI_PAY: Final = "pay"
"""Path of the entry that takes a card, on the payment process; its one argument is the pay
session's id. The flow's session calls it by `EXEC AGI` and waits for its end."""

# --- UserEvent sent on the call's own channel ----------------------------------------------

FLOW_EVENT: Final = "DialerFlow"
"""Name of the user event; its ``Uniqueid`` header (added by Asterisk) is the attempt."""
H_KIND: Final = "Kind"
H_NODE: Final = "Node"
H_PROMPT: Final = "Prompt"
H_KEY: Final = "Key"
H_OUTCOME: Final = "Outcome"
"""A ``dialer.domain.model.Outcome``."""
H_RESULT: Final = "Result"
"""A ``dialer.domain.model.DetectionResult``."""
H_REASON: Final = "Reason"

KIND_PROMPT: Final = "prompt"
KIND_KEY: Final = "key"
KIND_IDENTITY: Final = "identity"
KIND_OUTCOME: Final = "outcome"
KIND_DETECTED: Final = "detected"
KIND_PAYMENT: Final = "payment"
"""Masked progress of a payment: ``Node``, ``Step`` (a ``PayStep``), ``Digits`` (how many, never
which), ``Error`` (a ``PayError``), ``Result`` (a ``PayResult``)."""
KIND_ESCALATED: Final = "escalated"
"""The flow hands the debtor over (``Skill``, ``Reason``, ``Rank``); the row is there."""
KIND_QUEUE: Final = "queue"
"""A wait for a person ended by the debtor's choice, or because it had been long enough
(``Result``: an ``AgentCallResult``)."""
KIND_ABANDONED: Final = "abandoned"
"""The safe-harbour message begins."""
KIND_INBOUND: Final = "inbound"
"""A debtor calls; the attempt is committed."""
H_SKILL: Final = "Skill"
H_RANK: Final = "Rank"
"""Not ``Priority``: every event of a channel has a header of that name already."""
H_STEP: Final = "Step"
H_DIGITS: Final = "Digits"
H_ERROR: Final = "Error"

REASON_THIRD_GONE: Final = "third_gone"
"""The outside party to whom a debtor was handed over hung up before they met."""
REASON_AMD_UNSURE: Final = "amd_unsure"
REASON_FAX_TONE: Final = "fax_tone"
"""CED (2100 Hz): a fax that answers a call."""
REASON_CNG_TONE: Final = "cng_tone"
"""CNG (1100 Hz): a fax that calls."""

# --- trunks, accounts ----------------------------------------------------------------------

DEFAULT_TRUNK: Final = "carrier"
SECRET_AMI: Final = "ami"
SECRET_BROWSER_SIP: Final = "browser_sip"
"""Password of the SIP user that browsers share; what lets one in is the token of its session."""
ENDPOINT_BROWSER: Final = "browser"
ENDPOINT_PHONES: Final = "phones"
LEG_PREFIX: Final = "leg-"
"""+ the session: the channel id of an agent's telephone that was called."""
SECRET_PAYMENTS_AMI: Final = "payments_ami"
SECRET_FINGERPRINT: Final = "card_fingerprint"
SECRET_TEST_ACQUIRER: Final = "test_acquirer"
SECRET_STRIPE_KEY: Final = "stripe_api_key"
SECRET_STRIPE_WEBHOOK: Final = "stripe_webhook_secret"
SECRET_REDSYS_KEY: Final = "redsys_secret_key"
SECRET_MERCADOPAGO_TOKEN: Final = "mercadopago_access_token"
SECRET_MERCADOPAGO_WEBHOOK: Final = "mercadopago_webhook_secret"
SECRET_CARRIER_AMI: Final = "carrier_ami"
CARRIER_AMI_USER: Final = "witness"

# --- rq ------------------------------------------------------------------------------------

QUEUE_MESSAGES: Final = "messages"
JOB_SEND_MESSAGE: Final = "dialer.jobs.send_message"

# --- HTTP hooks, below Settings.web_url ----------------------------------------------------

HOOK_TWILIO_STATUS: Final = "/hooks/twilio/status"
HOOK_TWILIO_SMS: Final = "/hooks/twilio/sms"
HOOK_GATEWAY: Final = "/hooks/pay/"
"""+ the gateway's name."""
HOOK_MESSAGE_PARAM: Final = "m"

# --- Redis: the desk's commands and what it is told ----------------------------------------

DESK_COMMANDS: Final = "dialer:desk:"
"""+ the node: a list of commands for its engine."""
DESK_REPLY: Final = "dialer:desk:reply:"
"""+ the command's id: a list with the one answer, for ``DESK_REPLY_SECONDS``."""
DESK_EVENTS: Final = "dialer:desk:events:"
"""+ the session: a stream of what its desk is told."""
FLOOR_EVENTS: Final = "dialer:floor:events"
DESK_REPLY_SECONDS: Final = 30
DESK_STALE_SECONDS: Final = 5.0
"""A command older than this is answered and never done: nobody waits for it any more."""
