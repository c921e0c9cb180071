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
VAR_RECORD: Final = "DIALER_RECORD"
"""``1``: the call is recorded."""
VAR_ON_MACHINE: Final = "DIALER_ON_MACHINE"
"""A ``MachineAction``: hang_up, leave_message."""

ORIGINATE_VARIABLES: Final = (VAR_DETECTOR, VAR_FLOW, VAR_LANGUAGE, VAR_ON_MACHINE, VAR_RECORD)

# --- FastAGI -------------------------------------------------------------------------------

AGI_FLOW: Final = "flow"
"""Path of the entry that interprets the campaign's flow."""
AGI_MACHINE: Final = "machine"
"""Path of the entry that leaves the message, after the beep."""

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
H_STEP: Final = "Step"
H_DIGITS: Final = "Digits"
H_ERROR: Final = "Error"

REASON_AMD_UNSURE: Final = "amd_unsure"
REASON_FAX_TONE: Final = "fax_tone"
"""CED (2100 Hz): a fax that answers a call."""
REASON_CNG_TONE: Final = "cng_tone"
"""CNG (1100 Hz): a fax that calls."""

# --- trunks, accounts ----------------------------------------------------------------------

DEFAULT_TRUNK: Final = "carrier"
SECRET_AMI: Final = "ami"
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
