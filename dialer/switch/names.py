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
START: Final = "s"
START_PRIORITY: Final = 1

# --- channel variables set at Originate ----------------------------------------------------

VAR_DETECTOR: Final = "DIALER_DETECTOR"
"""A ``Detector``: talk, app_amd, none."""
VAR_FLOW: Final = "DIALER_FLOW"
VAR_LANGUAGE: Final = "DIALER_LANGUAGE"
VAR_ON_MACHINE: Final = "DIALER_ON_MACHINE"
"""A ``MachineAction``: hang_up, leave_message."""

ORIGINATE_VARIABLES: Final = (VAR_DETECTOR, VAR_FLOW, VAR_LANGUAGE, VAR_ON_MACHINE)

# --- FastAGI -------------------------------------------------------------------------------

AGI_FLOW: Final = "flow"
"""Path of the entry that interprets the campaign's flow."""
AGI_MACHINE: Final = "machine"
"""Path of the entry that leaves the message, after the beep."""

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

REASON_AMD_UNSURE: Final = "amd_unsure"
REASON_FAX_TONE: Final = "fax_tone"
"""CED (2100 Hz): a fax that answers a call."""
REASON_CNG_TONE: Final = "cng_tone"
"""CNG (1100 Hz): a fax that calls."""

# --- trunks, accounts ----------------------------------------------------------------------

DEFAULT_TRUNK: Final = "carrier"
SECRET_AMI: Final = "ami"
SECRET_CARRIER_AMI: Final = "carrier_ami"
CARRIER_AMI_USER: Final = "witness"

# --- rq ------------------------------------------------------------------------------------

QUEUE_MESSAGES: Final = "messages"
JOB_SEND_MESSAGE: Final = "dialer.jobs.send_message"

# --- HTTP hooks, below Settings.web_url ----------------------------------------------------

HOOK_TWILIO_STATUS: Final = "/hooks/twilio/status"
HOOK_TWILIO_SMS: Final = "/hooks/twilio/sms"
HOOK_MESSAGE_PARAM: Final = "m"
