"""Golden transcripts: what is said and done in whole conversations, and where every way leads.

``UPDATE_GOLDEN=1`` writes the files anew; the difference is then for people to read.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from flows import FACTOR, facts, shipped, texts

from dialer.domain.payment import PayResult
from dialer.flow.interpreter import step
from dialer.flow.nodes import Agent, Identity, Question
from dialer.flow.transcript import as_input, play
from dialer.flow.values import Command, NoteKey, Said, Say, Started, State, Wait

GOLDEN = Path(__file__).parent / "golden"
LANGUAGES = ("es", "en")
VARIANTS = ("", "landline", "undocumented", "cards", "agents", "undocumented_agents")

Conversation = tuple[str, str]  # variant of the debtor, answers

CONVERSATIONS: dict[str, dict[str, Conversation]] = {
    "reminder": {
        "pays by the link": ("", "1 5678 1"),
        "asks for the link by SMS": ("", "1 5678 3"),
        "promises in three days": ("", "1 5678 2 1"),
        "promises in a week, by name": ("named", "1 5678 2 2"),
        "promises at the end of the month": ("", "1 5678 2 3"),
        "wants a person": ("", "1 5678 0"),
        "wants no more calls, at the greeting": ("", "9"),
        "wants no more calls, at the digits": ("", "1 * 9"),
        "wants no more calls, at the menu": ("", "1 5678 9"),
        "is another person": ("", "2"),
        "hears it twice and promises": ("", "1 5678 * 2 1"),
        "knows the way and presses into the prompt": ("", "1 5678 ~2 1"),
        "has a landline and promises": ("landline", "1 5678 3 2 2"),
        "has a landline and wants a person": ("landline", "1 5678 1 0"),
        "types wrong digits once": ("", "1 1111 5678 0"),
        "types wrong digits twice": ("", "1 1111 2222"),
        "types too few digits twice": ("", "1 56 567"),
        "goes back for more guesses and gets none": ("", "1 1111 * 1 2222"),
        "has no document to ask for": ("undocumented", "1"),
        "presses nothing": ("", "- - -"),
        "presses keys that mean nothing": ("", "5 # 7"),
        "confirms and then presses nothing": ("", "1 - - -"),
        "hangs up at once": ("", "x"),
        "hangs up after confirming": ("", "1 x"),
        "hangs up over the disclosure": ("", "1 5678 ~x"),
        "hangs up over the goodbye": ("", "1 5678 0 ~x"),
        "pays by card": ("cards", "1 5678 1 =success"),
        "pays by card and hangs up over the goodbye": ("cards", "1 5678 1 =success ~x"),
        "has the card declined": ("cards", "1 5678 1 =declined"),
        "wants a person in the middle of paying": ("cards", "1 5678 1 =wants-agent"),
        "pays, and the bank does not answer": ("cards", "1 5678 1 =gateway-timeout-unknown"),
        "tries too many cards": ("cards", "1 5678 1 =limit-reached"),
        "leaves the payment and gets the link": ("cards", "1 5678 1 =caller-interrupted-with-star"),
        "hangs up in the middle of the card": ("cards", "1 5678 1 x"),
        "is handed over to a person": ("agents", "1 5678 0 =agent"),
        "wants a person, and nobody works": ("agents", "1 5678 0 =nobody"),
        "hangs up while a person is looked for": ("agents", "1 5678 0 x"),
        "types wrong digits, a person takes over": ("agents", "1 1111 2222 =agent"),
        "types wrong digits, and nobody works": ("agents", "1 1111 2222 =nobody"),
        "cannot pay, a person takes over": ("agents", "1 5678 1 =too-many-failed-attempts =agent"),
        "cannot pay, and nobody works": ("agents", "1 5678 1 =too-many-failed-attempts =nobody"),
        "has no document, a person takes over": ("undocumented_agents", "1 =agent"),
        "has no document, and nobody works": ("undocumented_agents", "1 =nobody"),
        "wants a person instead of paying": ("agents", "1 5678 1 =wants-agent =agent"),
    },
    "second_try": {
        "asks for the link": ("", "1 5678 1"),
        "promises": ("named", "1 5678 2"),
        "wants to be called": ("", "1 5678 0"),
        "wants no more calls": ("", "9"),
        "has a landline and promises": ("landline", "1 5678 1 2"),
        "presses nothing": ("", "- -"),
        "asks for the link by SMS": ("", "1 5678 3"),
        "pays by card": ("cards", "1 5678 1 =success"),
        "is handed over to a person": ("agents", "1 5678 0 =agent"),
    },
    "inbound": {
        "promises": ("", "1 5678 2 1"),
        "wants a person": ("", "0"),
        "is handed over without saying who they are": ("agents", "0 =agent"),
        "is handed over from the digits": ("agents", "1 * 0 =agent"),
        "is handed over from the menu": ("agents", "1 5678 0 =agent"),
        "wants no more calls": ("", "9"),
        "presses nothing": ("", "- - -"),
    },
    "abandoned": {"hears who called": ("", "")},
    "machine": {"takes the message": ("", "")},
}


def _golden(name: str, written: str) -> None:
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(written, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == written


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_conversations(name: str, language: str) -> None:
    parts = []
    for title, (variant, answers) in CONVERSATIONS[name].items():
        lines = play(shipped(name), texts(language), facts(language, variant), answers.split())
        parts.append("\n".join([f"== {title}", *lines, ""]))
    _golden(f"{name}.{language}.txt", "\n".join(parts))


# --- every way there is -----------------------------------------------------------------------


def _follow(
    name: str, language: str, variant: str, answers: tuple[str, ...]
) -> tuple[State, list[Command]]:
    """The session after these answers; plain prompts are heard out unless an answer has ~."""
    flow, state = shipped(name), State()
    state, commands = step(flow, state, Started(facts(language, variant)))
    done = list(commands)
    left = list(answers)
    while left:
        if state.wait is Wait.SAID and not left[0].startswith("~"):
            state, commands = step(flow, state, Said())
        else:
            state, commands = step(flow, state, as_input(left.pop(0).removeprefix("~")))
        done += commands
    return state, done


def _words(name: str, state: State) -> list[tuple[str, ...]]:
    """Everything that can come while the session waits there, and what exhausts its tries."""
    assert state.node is not None
    node = shipped(name).nodes[state.node]
    if state.wait is Wait.SAID:
        return [("~x",)]
    if state.wait is Wait.PAYMENT:
        return [*((f"={result}",) for result in PayResult), ("x",)]
    if state.wait is Wait.AGENT:
        return [("=agent",), ("=nobody",), ("x",)]
    assert isinstance(node, Question)
    found: list[tuple[str, ...]] = [(key,) for key in sorted(node.keys)]
    if isinstance(node, Identity):
        found += [(FACTOR,), ("12",), ("0000",) * node.attempts]
        wrong = "#"
    else:
        wrong = next(k for k in "45678" if k not in node.keys)
    return [*found, ("#",), (wrong,), ("-",), ("x",), (wrong,) * node.tries, ("-",) * node.tries]


def _ways(name: str, variant: str) -> list[str]:
    """From each place where a session can wait, reached the shortest way: every input, and
    where it leads. A place is a node and whether it asks or speaks."""
    lines: list[str] = []
    seen: set[tuple[str | None, Wait]] = set()
    queue: list[tuple[str, ...]] = [()]
    while queue:
        answers = queue.pop(0)
        state, _ = _follow(name, "es", variant, answers)
        while True:  # a plain prompt is a place, and so is what follows it
            place = (state.node, state.wait)
            if state.wait is Wait.NOTHING or place in seen:
                break
            seen.add(place)
            for word in _words(name, state):
                way = (*answers, *word)
                after, commands = _follow(name, "es", variant, way)
                english, also = _follow(name, "en", variant, way)
                assert [type(c) for c in commands] == [type(c) for c in also]
                assert (after.node, after.outcome) == (english.node, english.outcome)
                said = [key for c in commands if isinstance(c, Say) for key in c.prompts]
                keys = "".join(c.key for c in commands if isinstance(c, NoteKey))
                outcome = after.outcome.value if after.outcome else "nothing"
                lines.append(
                    f"{' '.join(way):28} {after.wait}:{after.node} {outcome} "
                    f"keys={keys or '-'} said={','.join(said)}"
                )
                queue.append(way)
            if state.wait is not Wait.SAID:
                break
            state, _ = step(shipped(name), state, Said())
    return lines


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_every_way(name: str) -> None:
    parts = []
    for variant in VARIANTS:
        parts.append("\n".join([f"== {variant or 'mobile'}", *_ways(name, variant), ""]))
    _golden(f"{name}.ways.txt", "\n".join(parts))


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_the_ways_hang_up_at_every_node_that_waits(name: str) -> None:
    flow = shipped(name)
    waiting = {
        node
        for node, spec in flow.nodes.items()
        if isinstance(spec, Question | Agent) or spec.spoken()
    }
    left = {
        line.split(" nothing:")[1].split()[0]
        for variant in VARIANTS
        for line in _ways(name, variant)
        if line.split(" nothing:")[0].rstrip().endswith("x")
    }
    assert waiting == left
