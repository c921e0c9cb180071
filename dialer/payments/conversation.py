"""A payment by keypad as a pure function: ``step(talk, given) -> (talk, commands)``.

The values are in ``conversation_values``.
"""

from __future__ import annotations

from dialer.payments.conversation_values import (
    Again,
    AmountKeyed,
    AskAmount,
    AskField,
    AskKey,
    Began,
    Chosen,
    FieldKeyed,
    Finish,
    ForgetCard,
    Given,
    HungUp,
    KeysLost,
    Leave,
    Line,
    NoKey,
    Note,
    PayCommand,
    PayCommands,
    Question,
    Refused,
    Say,
    Submit,
    Submitted,
    Talk,
    Value,
)

__all__ = [
    "Again", "AmountKeyed", "AskAmount", "AskField", "AskKey", "Began", "Chosen", "FieldKeyed",
    "Finish", "ForgetCard", "Given", "HungUp", "KeysLost", "Leave", "Line", "NoKey", "Note",
    "PayCommand", "PayCommands", "Question", "Refused", "Say", "Submit", "Submitted", "Talk",
    "Value",
]  # fmt: skip
