"""What is proven about a flow before it may be used.

Each function below is one proof; ``check_flow`` runs them all. A flow without problems ends after
a known number of questions, says the same in every language, and says nothing of the debt on any
way that does not pass through a proven identity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from dialer.flow.disclosure import disclosing_word
from dialer.flow.errors import FlowError, Problem
from dialer.flow.graph import (
    a_cycle,
    bounds,
    not_matched,
    reachable,
    successors,
)
from dialer.flow.interpreter import MAX_VISITS
from dialer.flow.model import Flow, FlowKind, load_named
from dialer.flow.nodes import Agent, Exit, ExitKind, Identity, Menu, Pay, Question
from dialer.flow.nodes.pay import PayPrompt
from dialer.flow.pay_prompts import PAY_PLACEHOLDERS, default_prompts, must_say, placeholders_at
from dialer.flow.prompts import (
    GIVEN,
    NEUTRAL_GOODBYE,
    OPTIONAL,
    PLACEHOLDERS,
    Prompts,
    load_prompts,
)
from dialer.flow.waiting_prompts import WAITING_PROMPTS
from dialer.flow.words import LANGUAGES

Catalogue = Mapping[str, Prompts]
Found = Iterator[Problem]


def check_flow(flow: Flow, prompts: Catalogue) -> list[Problem]:
    """Every problem of a flow with the prompts of its languages; empty: it may be used."""
    dangling = list(_targets(flow))
    if dangling:
        return dangling  # the other proofs walk the graph
    return [problem for proof in PROOFS for problem in proof(flow, prompts)]


def check_named(flows_dir: Path, name: str, language: str | None = None) -> list[Problem]:
    """The problems of a flow of a folder, those of reading it included.

    With ``language``: the flow must also have that language. This is what a campaign that names
    the flow is asked before it is created.
    """
    try:
        flow = load_named(flows_dir, name)
        prompts = load_catalogue(flows_dir, flow)
    except FlowError as error:
        return [Problem(name, None, "readable", str(error), "correct the file")]
    problems = check_flow(flow, prompts)
    if language is not None and not {language, language.split("-")[0]} & set(flow.languages):
        have = ", ".join(flow.languages)
        problems.append(
            Problem(name, None, "language", f"does not speak {language!r}", f"use one of {have}")
        )
    return problems


def require_proven(flows_dir: Path, names: Iterable[str], language: str) -> None:
    """Raises FlowError with every problem that these flows have for calls in that language.

    To be asked before a campaign is made with them.
    """
    problems = []
    for name in dict.fromkeys(names):
        found = check_named(flows_dir, name, language)
        if not found and load_named(flows_dir, name).kind is not FlowKind.CONVERSATION:
            found = [Problem(name, None, "kind", "is a message for machines", "name another flow")]
        problems += [str(problem) for problem in found]
    if problems:
        raise FlowError("\n".join(problems))


def load_catalogue(flows_dir: Path, flow: Flow) -> dict[str, Prompts]:
    """The prompts of every language of a flow. Raises FlowError."""
    return {language: load_prompts(flows_dir, language) for language in flow.languages}


def _targets(flow: Flow) -> Found:
    if flow.start not in flow.nodes:
        yield Problem(
            flow.name, None, "targets", f"starts at {flow.start!r}, which is no node",
            "set start: to a node",
        )  # fmt: skip
    for name, node in flow.nodes.items():
        for way in node.exits():
            if way.target not in flow.nodes:
                yield Problem(
                    flow.name, name, "targets",
                    f"leads to {way.target!r} ({way.kind} {way.label}".rstrip()
                    + "), which is no node",
                    "add the node or correct the name",
                )  # fmt: skip


def _kind(flow: Flow, _: Catalogue) -> Found:
    if flow.kind is not FlowKind.MESSAGE:
        return
    for name, node in flow.nodes.items():
        if isinstance(node, Question) or node.outcomes() or node.needs_identity:
            yield Problem(
                flow.name, name, "kind", "a message asks nothing and concludes nothing",
                "remove the node, or make the flow kind: conversation",
            )  # fmt: skip


def _reachable(flow: Flow, _: Catalogue) -> Found:
    for name in sorted(set(flow.nodes) - reachable(flow, [flow.start])):
        yield Problem(flow.name, name, "reachable", "cannot be reached", "lead to it or remove it")


def _ways_out(flow: Flow, _: Catalogue) -> Found:
    for name, node in flow.nodes.items():
        missing = []
        if isinstance(node, Question) and node.on_timeout.then is None:
            missing.append("on_timeout.then")
        if isinstance(node, Menu) and node.on_wrong_key.then is None:
            missing.append("on_wrong_key.then")
        if isinstance(node, Identity):
            missing += [] if node.on_no_match.then else ["on_no_match.then"]
            missing += [] if node.unavailable else ["unavailable"]
        for field in missing:
            yield Problem(
                flow.name, name, "way_out", f"has no way out: {field} is missing",
                "name the node to go to after the last try",
            )  # fmt: skip


def _bounded(flow: Flow, _: Catalogue) -> Found:
    if cycle := a_cycle(flow):
        yield Problem(
            flow.name, cycle[0], "bounded", f"goes round without end: {' > '.join(cycle)}",
            "lead back through a go_back node, which is counted",
        )  # fmt: skip
        return
    visits, _asked = bounds(flow)
    if visits > MAX_VISITS:
        yield Problem(
            flow.name, None, "bounded",
            f"a session can enter {visits} nodes, more than {MAX_VISITS}",
            "lower the times of its go_back nodes or shorten it",
        )  # fmt: skip


def _texts(flow: Flow, prompts: Catalogue) -> Found:
    for language in flow.languages:
        if language not in LANGUAGES or language not in prompts:
            yield Problem(
                flow.name, None, "texts", f"there are no prompts in {language!r}",
                f"add prompts/{language}.yaml or use one of {', '.join(LANGUAGES)}",
            )  # fmt: skip
            return
        goodbye = prompts[language].by_key.get(NEUTRAL_GOODBYE)
        if goodbye is None or goodbye.placeholders:
            yield Problem(
                flow.name, None, "texts",
                f"prompts/{language}.yaml needs {NEUTRAL_GOODBYE}, without placeholders",
                "it is said when a call cannot go on: write it",
            )  # fmt: skip
    for name, key, _when in _said(flow):
        texts = {language: prompts[language].by_key.get(key) for language in flow.languages}
        for language, text in texts.items():
            if text is None:
                yield Problem(
                    flow.name, name, "texts", f"says {key}, which prompts/{language}.yaml lacks",
                    "add the text",
                )  # fmt: skip
        sets = {language: frozenset(t.placeholders) for language, t in texts.items() if t}
        if len(set(sets.values())) > 1:
            each = "; ".join(
                f"{lang}: {', '.join(sorted(s)) or 'none'}" for lang, s in sets.items()
            )
            yield Problem(
                flow.name, name, "texts", f"{key} has other placeholders by language ({each})",
                "use the same in every language",
            )  # fmt: skip


def _values(flow: Flow, prompts: Catalogue) -> Found:
    givers = {
        value: frozenset(n for n, node in flow.nodes.items() if value in node.gives)
        for value in GIVEN
    }
    without = {
        value: reachable(flow, [flow.start], closed=nodes) for value, nodes in givers.items()
    }
    for name, key, when in _said(flow):
        if isinstance(flow.nodes[name], Pay):
            continue  # see _payment_prompts
        if when is not None and when not in OPTIONAL:
            yield Problem(
                flow.name, name, "values", f"when: {when} is nothing that can be missing",
                f"use one of {', '.join(sorted(OPTIONAL))}",
            )  # fmt: skip
        for value in sorted(_placeholders(key, flow, prompts)):
            if value in PAY_PLACEHOLDERS:
                what = f"{key} says {{{value}}}, which only a payment has"
                todo = "say it in the prompts: of a pay node"
            elif value not in PLACEHOLDERS:
                what = f"{key} has {{{value}}}, which is no value"
                todo = f"use one of {', '.join(sorted(PLACEHOLDERS))}"
            elif value in OPTIONAL and value != when:
                what = f"{key} says {{{value}}}, which a call may not have"
                todo = f"say it as {{prompt: {key}, when: {value}, otherwise: ...}}"
            elif value in GIVEN and name in without[value]:
                what = f"{key} says {{{value}}}, but a way leads here on which nothing gave it"
                todo = "lead to it through the node that gives it only"
            else:
                continue
            yield Problem(flow.name, name, "values", what, todo)


def _payment_prompts(flow: Flow, prompts: Catalogue) -> Found:
    """What a payment says has values at that point of it, and names what is agreed to."""
    for name, node in flow.nodes.items():
        if not isinstance(node, Pay):
            continue
        for key, allowed in default_prompts().items():
            for value in sorted(_placeholders(key, flow, prompts) - allowed):
                have = ", ".join(f"{{{one}}}" for one in sorted(allowed)) or "no placeholder"
                yield Problem(
                    flow.name, name, "values",
                    f"{key} says {{{value}}}, which has no value when it is said",
                    f"word it with {have}",
                )  # fmt: skip
        for prompt in node.prompts:
            yield from _payment_prompt(flow, name, node, prompt, prompts)


def _payment_prompt(
    flow: Flow, name: str, node: Pay, prompt: PayPrompt, prompts: Catalogue
) -> Found:
    allowed = placeholders_at(prompt.for_, node.mode)
    said: set[str] = set()
    for key in prompt.say:
        found = _placeholders(key, flow, prompts)
        said |= found
        for value in sorted(found - allowed):
            have = ", ".join(f"{{{one}}}" for one in sorted(allowed)) or "no placeholder"
            yield Problem(
                flow.name, name, "values",
                f"{key} says {{{value}}}, which has no value at {prompt.word}",
                f"word it with {have}",
            )  # fmt: skip
    missing = must_say(prompt.for_, node.mode) - said
    if missing:
        yield Problem(
            flow.name, name, "values",
            f"{' and '.join(prompt.say)} at {prompt.word} leaves out "
            + " and ".join(f"{{{one}}}" for one in sorted(missing)),
            "nobody agrees to what was not said: say it",
        )  # fmt: skip


def _disclosure(flow: Flow, prompts: Catalogue) -> Found:
    """Cut every edge of a proven identity: what is still reached must be neutral."""
    open_to_all = reachable(flow, [flow.start], not_matched)
    for name in sorted(open_to_all):
        if flow.nodes[name].needs_identity:
            yield Problem(
                flow.name, name, "disclosure", "can be reached without a proven identity",
                "lead to it through the matched: of an identity node only",
            )  # fmt: skip
    for name, key, _when in _said(flow):
        if name not in open_to_all:
            continue
        for language in flow.languages:
            text = prompts[language].by_key.get(key) if language in prompts else None
            word = disclosing_word(text, language) if text else None
            if text is not None and (text.discloses or word):
                why = f"it says {word!r}" if word else "it is marked discloses: true"
                yield Problem(
                    flow.name, name, "disclosure",
                    f"says {key} without a proven identity, and in {language} {why}",
                    "say it behind an identity node, or word it neutrally",
                )  # fmt: skip
                break


def _waiting(flow: Flow, prompts: Catalogue) -> Found:
    """What is said to who waits for a person is there, and neutral: they may be anybody."""
    name = next((n for n, node in flow.nodes.items() if isinstance(node, Agent)), None)
    if name is None:
        return
    for language in flow.languages:
        by_key = prompts[language].by_key if language in prompts else {}
        for key, values in WAITING_PROMPTS.items():
            text = by_key.get(key)
            if text is None:
                what, todo = f"needs {key}, which prompts/{language}.yaml lacks", "add the text"
            elif frozenset(text.placeholders) != values:
                have = ", ".join(f"{{{one}}}" for one in sorted(values)) or "no placeholder"
                what, todo = f"in {language} {key} must have {have}", "word it so"
            elif text.discloses or (word := disclosing_word(text, language)):
                why = "is marked discloses: true" if text.discloses else f"says {word!r}"
                what, todo = f"{key}, said to anybody who waits, {why}", "word it neutrally"
            else:
                continue
            yield Problem(flow.name, name, "waiting", what, todo)


def _opt_out(flow: Flow, _: Catalogue) -> Found:
    for name, node in flow.nodes.items():
        if node.question and not any(
            flow.nodes[other].opts_out for other in reachable(flow, [name])
        ):
            yield Problem(
                flow.name, name, "opt_out", "no way leads from this question to an opt_out node",
                "give it a key that does",
            )  # fmt: skip


def _one_outcome(flow: Flow, _: Catalogue) -> Found:
    for name, node in flow.nodes.items():
        if not node.outcomes():
            continue
        behind = reachable(flow, successors(flow, name, _concluded))
        for other in sorted(n for n in behind if flow.nodes[n].outcomes()):
            yield Problem(
                flow.name, name, "one_outcome",
                f"concludes, and so does {other} behind it", "let a call conclude once",
            )  # fmt: skip


def _concluded(_name: str, way: Exit) -> bool:
    return way.kind is ExitKind.NEXT  # a link that could not be sent concludes nothing


def _paid_once(flow: Flow, _: Catalogue) -> Found:
    """Who has paid, or may have, or owes nothing, is not led to where money is asked for."""
    for name, node in flow.nodes.items():
        if not isinstance(node, Pay):
            continue
        for way in node.settled:
            behind = reachable(flow, [node.way(way)])
            for other in sorted(n for n in behind if flow.nodes[n].asks_for_money):
                yield Problem(
                    flow.name, name, "paid_once",
                    f"{way} leads on to {other}, where the debtor could pay a second time",
                    f"lead {way} to an end, or to a person",
                )  # fmt: skip


PROOFS: tuple[Callable[[Flow, Catalogue], Found], ...] = (
    _kind, _reachable, _ways_out, _bounded, _texts, _values, _payment_prompts, _disclosure,
    _waiting, _opt_out, _one_outcome, _paid_once,
)  # fmt: skip


def _said(flow: Flow) -> list[tuple[str, str, str | None]]:
    """(node, prompt, the optional value known when it is said), each once."""
    found = [
        (name, key, when)
        for name, node in flow.nodes.items()
        for one in node.spoken()
        for key, when in one.choices
    ]
    return list(dict.fromkeys(found))


def _placeholders(key: str, flow: Flow, prompts: Catalogue) -> set[str]:
    found: set[str] = set()
    for language in flow.languages:
        text = prompts[language].by_key.get(key) if language in prompts else None
        found |= set(text.placeholders) if text else set()
    return found
