"""What is said to who waits for a person. There is no flow then: these are said by the product."""

from __future__ import annotations

from collections.abc import Iterable

from dialer.flow.fragments import Fragment
from dialer.flow.prompts import Prompts
from dialer.flow.words import say_number

WAIT = "queue_wait"
NEXT = "queue_next"
POSITION = "queue_position"
OFFER_CALLBACK, OFFER_LINK, OFFER_STAY = (
    "queue_offer_callback", "queue_offer_link", "queue_offer_stay",
)  # fmt: skip
LINK_SENT = "queue_link_sent"
NOBODY = "queue_nobody"
ESCAPE = "queue_escape"
CALLED_BACK = "somebody_will_call"

WAITING_PROMPTS: dict[str, frozenset[str]] = {
    key: frozenset({"position"} if key == POSITION else ())
    for key in (
        WAIT, NEXT, POSITION, OFFER_CALLBACK, OFFER_LINK, OFFER_STAY, LINK_SENT, NOBODY, ESCAPE,
        CALLED_BACK,
    )
}  # fmt: skip
"""Each with the placeholders that it has. Anybody may hear them: none may disclose."""


def waiting_fragments(prompts: Prompts, keys: Iterable[str], position: int = 0) -> list[Fragment]:
    """What these say, file by file. Raises FlowError for a prompt that is not there."""
    said: list[Fragment] = []
    for key in keys:
        for part in prompts.prompt(key).parts:
            said += [part] if isinstance(part, Fragment) else say_number(position, prompts.language)
    return said
