"""Those of the simulated network who talk to agents, or want to. Pure data, like ``personas``.

The disposition given is that of a campaign without agents whose flow is ``reminder``; what becomes
of them where agents work is theirs and the agents' doing.
"""

from __future__ import annotations

from dialer.domain.model import Disposition as D
from dialer.domain.payment import PaymentState as P
from dialer.simulation.debtor_cards import CardKind
from dialer.simulation.persona import Persona
from dialer.simulation.steps import (
    CODE,
    EXPIRY,
    FACTOR,
    Script,
    Step,
    answer,
    first_prompt,
    hang_up,
    key_number,
    key_number_aloud,
    listen,
    next_prompt,
    press,
    press_aloud,
    ring,
    ring_between,
    say,
    say_tone,
    stop_tone,
    talk_on,
    wait,
    wait_between,
)

LONGEST_TALK = 180
"""Seconds after which the most patient of them hangs up."""
PATIENCE = 15.0
"""Seconds that the impatient one waits for a person."""
TONE_HERTZ = 600
"""Said by those who can be told apart from anybody else by it."""
CARD = CardKind()
GOES_ON = talk_on("chatter", LONGEST_TALK)
TELLS = 8
"""Seconds in which one says what one calls about, before a card may be asked for."""


def _picks_up(*, rings: Step) -> list[Step]:
    return [rings, answer(), listen(), say("diga")]


def _asks_for_an_agent(*then: Step) -> Script:
    """Presses into each prompt: says who they are, and keys 0."""
    return (
        ring(0.4), answer(), say("diga"), first_prompt(), press("1"), next_prompt(), press(FACTOR),
        next_prompt(), press("0"), *then,
    )  # fmt: skip


def _keys_when_asked(*keys: Step) -> Script:
    """Talks to an agent who says nothing: the first that is heard is that a card is asked for, and
    to each question belong some keys."""
    steps = [ring(0.4), answer(), listen(), say("diga")]
    for question, key in enumerate(keys):
        steps += [next_prompt(30 if question else LONGEST_TALK), key]
    return tuple(steps)


# fmt: off
_ALL = (
    Persona("62", "talks_to_agent",
            "rings 2 to 6 s, then talks now and then until the other side hangs up, 180 s at most",
            ((*_picks_up(rings=ring_between(2, 6)), talk_on("chatter", LONGEST_TALK), hang_up()),),
            (D.NO_INPUT,)),
    Persona("63", "hangs_up_on_agent", "rings 2 to 6 s, says hello, hangs up after 4 to 8 s",
            ((*_picks_up(rings=ring_between(2, 6)), wait_between(3300, 7300), hang_up()),),
            (D.ANSWERED_ABANDONED,)),
    Persona("64", "gone_at_once", "rings 2 to 6 s, and hangs up 0.2 to 0.9 s after answering",
            ((ring_between(2, 6), answer(), listen(), wait_between(200, 900), hang_up()),),
            (D.ANSWERED_ABANDONED,)),
    Persona("65", "talks_to_agent_asked_for",
            "says who they are, asks for a person (0), and talks until the other side hangs up",
            (_asks_for_an_agent(talk_on("chatter", LONGEST_TALK), hang_up()),), (D.WANTS_AGENT,)),
    Persona("66", "gives_up_waiting", "asks for a person (0), and hangs up after 15 s",
            (_asks_for_an_agent(wait(PATIENCE), hang_up()),), (D.WANTS_AGENT,)),
    Persona("67", "waits_for_callback",
            "asks for a person (0), waits 12 s, then keys 1 until a callback is promised",
            (_asks_for_an_agent(wait(12), press("1"), wait(4), press("1"), wait(4), press("1"),
                                wait(60), hang_up()),), (D.WANTS_AGENT,)),
    Persona("68", "says_a_tone",
            f"says a tone of {TONE_HERTZ} Hz until the other side hangs up, 180 s at most",
            ((ring(0.4), answer(), listen(), say_tone(TONE_HERTZ, LONGEST_TALK), hang_up()),),
            (D.MACHINE,)),
    Persona("69", "says_a_tone_asked_for",
            f"says who they are, asks for a person (0), and says a tone of {TONE_HERTZ} Hz",
            (_asks_for_an_agent(say_tone(TONE_HERTZ, LONGEST_TALK), hang_up()),),
            (D.WANTS_AGENT,)),
    Persona("93", "pays_with_agent", "keys in a card when an agent has it asked for, and talks on",
            ((*_keys_when_asked(press("1"), key_number(CARD), press(EXPIRY), press(CODE),
                                press("1")), GOES_ON),),
            (D.REFUSED_IDENTITY,), payments=(P.APPROVED,), cards=(CARD,)),
    Persona("94", "pays_aloud_with_agent",
            "keys in a card when an agent has it asked for; the tones of its keys can be heard",
            ((*_keys_when_asked(press_aloud("1"), key_number_aloud(CARD), press_aloud(EXPIRY),
                                press_aloud(CODE), press_aloud("1")), GOES_ON),),
            (D.REFUSED_IDENTITY,), payments=(P.APPROVED,), cards=(CARD,)),
    Persona("95", "hangs_up_in_number_with_agent",
            "is asked for a card by an agent, and hangs up in the middle of its number",
            ((*_keys_when_asked(press("1"), key_number(CARD, 12)), hang_up()),),
            (D.REFUSED_IDENTITY,), cards=(CARD,)),
    Persona("96", "asked_again_by_agent",
            "keys half a card number, and all of it when the agent has it asked for again",
            ((*_keys_when_asked(press("1"), key_number(CARD, 9), key_number(CARD), press(EXPIRY),
                                press(CODE), press("1")), GOES_ON),),
            (D.REFUSED_IDENTITY,), payments=(P.APPROVED,), cards=(CARD,)),
    Persona("97", "pays_with_agent_asked_for",
            f"asks for a person (0), says a tone of {TONE_HERTZ} Hz for {TELLS} s, keys in a card "
            "when the agent has it asked for (the tones of its keys can be heard), and says the "
            "tone again",
            (_asks_for_an_agent(
                say_tone(TONE_HERTZ, TELLS), stop_tone(), next_prompt(LONGEST_TALK),
                press_aloud("1"), next_prompt(), key_number_aloud(CARD), next_prompt(),
                press_aloud(EXPIRY), next_prompt(), press_aloud(CODE), next_prompt(),
                press_aloud("1"), say_tone(TONE_HERTZ, LONGEST_TALK), hang_up()),),
            (D.WANTS_AGENT,), payments=(P.APPROVED,), cards=(CARD,)),
)
# fmt: on

TALKERS: dict[str, Persona] = {persona.code: persona for persona in _ALL}
"""By code."""
