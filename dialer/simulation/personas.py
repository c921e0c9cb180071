"""Who lives at the other end of the simulated network: the last two digits of a number decide.

Pure data. The carrier's dialplan is rendered from it (``dialer.simulation.network``), and so is
``docs/personas.md``. A new persona is a new entry of ``_ALL``.
"""

from __future__ import annotations

from collections.abc import Iterable

from dialer.domain.model import Disposition as D
from dialer.simulation.payers import PAYERS
from dialer.simulation.persona import Memory, Persona
from dialer.simulation.phones import (
    LATE_SECONDS,
    LOWEST_HERTZ,
    STEP_HERTZ,
    TONES,
    phone_hertz,
)
from dialer.simulation.steps import (
    FACTOR,
    Script,
    answer,
    early,
    hang_up,
    heard_out,
    press,
    press_and_drop,
    record,
    refuse,
    ring,
    say,
    send_nothing,
    stay,
    wait,
)
from dialer.simulation.talkers import TALKERS

RINGS = ring(0.4)


def _patient(*menu: str) -> Script:
    """Hears each prompt out, confirms, gives the factor, then presses ``menu`` key by key."""
    steps = [RINGS, answer(), say("diga"), heard_out(), press("1"), heard_out(), press(FACTOR)]
    for key in menu:
        steps += [heard_out(), press(key)]
    return (*steps, stay(20))


def _hasty(*menu: str) -> Script:
    """Knows the way and presses into the prompts."""
    steps = [RINGS, answer(), say("diga"), wait(1.0), press("1"), wait(0.8), press(FACTOR)]
    for key in menu:
        steps += [wait(1.2), press(key)]
    return (*steps, stay(20))


def _at_question(key: str) -> Script:
    return (RINGS, answer(), say("diga"), wait(5), press(key), stay(20))


def _gone_after(seconds: float, *first: str) -> Script:
    return (RINGS, answer(), *(say(line) for line in first), wait(seconds), hang_up())


_AT_ONCE = _gone_after(0.4)
_NOBODY: Script = (ring(90), hang_up(19))

# fmt: off
_ALL = (
    Persona("10", "payer", "hears the prompts out and asks for the payment link (1)",
            (_patient("1"),), (D.LINK_SENT,), weight=0.5),
    Persona("11", "promiser", "promises to pay in three days (2, 1)",
            (_patient("2", "1"),), (D.PROMISE,), weight=0.5),
    Persona("12", "promiser_next_week", "promises to pay in a week (2, 2)",
            (_patient("2", "2"),), (D.PROMISE,), weight=0.3),
    Persona("13", "sms_link", "asks for the link by SMS (3)",
            (_patient("3"),), (D.LINK_SENT,), weight=0.3),
    Persona("14", "wants_agent", "asks for a person (0)",
            (_patient("0"),), (D.WANTS_AGENT,), weight=0.3),
    Persona("15", "opts_out", "wants no more calls, from the menu (9)",
            (_patient("9"),), (D.OPTED_OUT,), weight=0.3),
    Persona("16", "repeats", "has the menu repeated (*), then asks for the link by SMS (3)",
            (_patient("*", "3"),), (D.LINK_SENT,), weight=0.3),
    Persona("17", "opts_out_at_question", "wants no more calls, at the identity question (9)",
            (_at_question("9"),), (D.OPTED_OUT,), weight=0.5),
    Persona("18", "wrong_person", "says at the identity question that it is somebody else (2)",
            (_at_question("2"),), (D.WRONG_PERSON,), weight=2),
    Persona("19", "wrong_factor", "confirms, then keys digits that are not the factor, each time",
            ((RINGS, answer(), say("diga"), wait(5), press("1"), wait(2), press("0000"),
              heard_out(), press("0000"), stay(20)),), (D.REFUSED_IDENTITY,), weight=0.5),
    Persona("20", "hasty_payer", "presses into the prompts: payment link (1)",
            (_hasty("1"),), (D.LINK_SENT,), weight=3),
    Persona("21", "hasty_promiser", "presses into the prompts: promise in three days (2, 1)",
            (_hasty("2", "1"),), (D.PROMISE,), weight=3),
    Persona("22", "hasty_promiser_next_week", "presses into the prompts: promise in a week (2, 2)",
            (_hasty("2", "2"),), (D.PROMISE,), weight=2),
    Persona("23", "hasty_sms_link", "presses into the prompts: link by SMS (3)",
            (_hasty("3"),), (D.LINK_SENT,), weight=2),
    Persona("24", "hasty_wants_agent", "presses into the prompts: a person (0)",
            (_hasty("0"),), (D.WANTS_AGENT,), weight=2),
    Persona("25", "hasty_opts_out", "presses into the prompts: no more calls (9)",
            (_hasty("9"),), (D.OPTED_OUT,)),
    Persona("26", "hasty_repeats", "presses into the prompts: repeat (*), then link by SMS (3)",
            (_hasty("*", "3"),), (D.LINK_SENT,)),
    Persona("30", "hangs_up_then_listens",
            "hangs up 0.4 s after answering; the second time it listens and promises",
            (_AT_ONCE, _hasty("2", "1")), (D.ANSWERED_ABANDONED, D.PROMISE), weight=6),
    Persona("31", "hangs_up_always", "hangs up 0.4 s after answering, every time",
            (_AT_ONCE,), (D.ANSWERED_ABANDONED,), weight=5),
    Persona("32", "hangs_up_in_greeting", "says hello and hangs up about 2 s into the greeting",
            (_gone_after(1.2, "diga"),), (D.ANSWERED_ABANDONED,), weight=4),
    Persona("33", "hangs_up_at_question", "hangs up at the identity question, no key",
            ((RINGS, answer(), say("diga"), wait(8), hang_up()),), (D.ANSWERED_ABANDONED,),
            weight=3),
    Persona("34", "hangs_up_after_key", "confirms (1), then hangs up when the factor is asked",
            ((RINGS, answer(), say("diga"), wait(5), press("1"), wait(1.5), hang_up()),),
            (D.INCOMPLETE,), weight=2),
    Persona("35", "silent", "says hello and nothing more, stays to the end",
            ((RINGS, answer(), say("diga"), stay(120)),), (D.NO_INPUT,), weight=1),
    Persona("36", "hangs_up_within_digit",
            "hangs up while a digit of the factor is still sounding",
            ((RINGS, answer(), say("diga"), wait(5), press("1"), wait(3),
              press("12"), press_and_drop("3", 1)),), (D.INCOMPLETE,)),
    Persona("40", "second_caller_id",
            "lets the first caller ID it ever sees ring; to any other one it listens and asks "
            "for the link",
            (_NOBODY, _hasty("1")), (D.NO_ANSWER, D.LINK_SENT), Memory.CALLER_ID, weight=4),
    Persona("41", "second_time", "is not there the first time; the second time promises",
            (_NOBODY, _hasty("2", "1")), (D.NO_ANSWER, D.PROMISE), weight=4),
    Persona("42", "busy_then_listens", "is busy the first time; the second time asks for the link",
            ((hang_up(17),), _hasty("1")), (D.BUSY, D.LINK_SENT), weight=2),
    Persona("43", "slow_to_answer", "rings for 8 s, then asks for the link",
            ((ring(8), answer(), say("diga"), *_hasty("1")[3:]),), (D.LINK_SENT,), weight=2),
    Persona("44", "one_way_audio", "answers, but no sound of it ever comes through; gives up",
            (_gone_after(5.0),), (D.ANSWERED_ABANDONED,)),
    Persona("45", "suppresses_silence",
            "says hello on a line that sends nothing while it is quiet; gives up after 6 s",
            ((RINGS, answer(), say("diga"), send_nothing(6), hang_up()),),
            (D.ANSWERED_ABANDONED,)),
    Persona("50", "busy", "busy (SIP 486, cause 17)", ((hang_up(17),),), (D.BUSY,), weight=5),
    Persona("51", "no_answer", "rings until we give up", (_NOBODY,), (D.NO_ANSWER,), weight=8),
    Persona("52", "network_gives_up", "rings for 6 s, then the network gives up (480, cause 19)",
            ((ring(6), hang_up(19)),), (D.NO_ANSWER,), weight=5),
    Persona("53", "congestion", "the network is congested (503, cause 34)", ((hang_up(34),),),
            (D.CONGESTION,), weight=2),
    Persona("54", "rejects", "rings 2 s, then the call is declined (603, cause 21)",
            ((ring(2), refuse(603)),), (D.REJECTED,), weight=2),
    Persona("55", "unallocated", "nobody has this number (404, cause 1)", ((hang_up(1),),),
            (D.INVALID_NUMBER,), weight=2),
    Persona("56", "changed_number",
            "information tones and an announcement before any answer, then 410 (cause 22)",
            ((early("sit"), early("announcement_changed"), hang_up(22)),),
            (D.INVALID_NUMBER,)),
    Persona("60", "voicemail", "a voicemail: greeting, beep, then it records",
            ((ring(2), answer(), wait(0.3), say("voicemail"), record()),), (D.MACHINE,), weight=8),
    Persona("61", "fax", "a fax: answers with its tone (2100 Hz, 3 s, again and again)",
            ((ring(1), answer(), wait(0.5), say("fax_ced"), wait(1), say("fax_ced"), stay(20)),),
            (D.MACHINE,)),
)
# fmt: on

PERSONAS: dict[str, Persona] = {persona.code: persona for persona in _ALL}
"""Every persona that neither pays by card nor is there for agents, by its code."""

EVERYBODY: dict[str, Persona] = PERSONAS | TALKERS | PAYERS
"""All who live on the network. A number ending in another pair of digits is unallocated."""


def persona_of(number: str) -> Persona | None:
    """Who lives at a number; None for nobody."""
    return EVERYBODY.get(number[-2:])


def named(name: str) -> Persona:
    """The persona of that name. Raises KeyError."""
    for persona in EVERYBODY.values():
        if persona.name == name:
            return persona
    raise KeyError(name)


def table() -> str:
    """The personas as a table in Markdown: the body of docs/personas.md."""
    return _table(PERSONAS.values())


def _table(personas: Iterable[Persona]) -> str:
    lines = [
        "| Last two digits | Name | What it does | Dispositions, call by call |",
        "|---|---|---|---|",
    ]
    for persona in personas:
        expects = ", then ".join(d.value for d in persona.expects)
        lines.append(f"| {persona.code} | {persona.name} | {persona.description} | {expects} |")
    return "\n".join(lines) + "\n"


_PAGE = """# Who lives on the simulated network

`dialer carrier` is a telephone network on this machine: a second Asterisk, reached over real SIP
and RTP, where the last two digits of the number decide who answers. `dialer demo` calls a list
made up of them. A number with any other ending is unallocated (404).

People who answer say a word first. Those who press keys give the last four digits of the number
as their factor of identity; made-up debtors have documents that end so. Where two dispositions
are given, the second is what comes of the second call (or of another caller ID) and of all later
ones. The network forgets whom it has seen when it is started.

"""


_PAYERS_PAGE = """
## Who pays by card

They are there on demand only (`dialer demo --payments`, and by name). The number of the card
follows from the number of the telephone, and says how the simulated bank treats it; the
disposition given is that of a campaign whose flow is `reminder`, with the bank there. One that
hangs up before the bank has answered is `paid` once it has.

"""


_TALKERS_PAGE = """
## Who talks to agents

They too are there on demand only (`dialer demo --agents`, and by name). The disposition given is
that of a campaign without agents whose flow is `reminder`: nobody talks to them there, and where
they ask for a person it is noted that they do.

"""

_PHONES_PAGE = f"""
## Agents' telephones

The network has SIP telephones for agents, as many as are called, told apart by the user part of
their address: `sip:agent07@127.0.0.1:<carrier_sip_port>` answers at once, `sip:late07@...` after
{LATE_SECONDS:g} s, `sip:noanswer07@...` never. One that has answered says a tone all the time, of
{LOWEST_HERTZ} Hz and {STEP_HERTZ} Hz more for each number up to {TONES - 1} (number 7:
{phone_hertz("agent07")} Hz), until the other side hangs up; `sip:quiet07@...` answers at once and
says nothing, for debtors who wait for what they are asked.
"""


def page() -> str:
    """The text of docs/personas.md."""
    talkers = _TALKERS_PAGE + _table(TALKERS.values()) + _PHONES_PAGE
    return _PAGE + table() + _PAYERS_PAGE + _table(PAYERS.values()) + talkers


if __name__ == "__main__":
    from dialer.config import ROOT

    (ROOT / "docs" / "personas.md").write_text(page())
