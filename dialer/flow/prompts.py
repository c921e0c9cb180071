"""Prompt texts by language, and what is rendered of them.

A text is literal pieces with placeholders between. Every piece is rendered once; a placeholder is
said with fragments rendered once as well. A prompt without placeholder is one file named like it,
any other has its pieces numbered: ``disclosure-1``, ``disclosure-2``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dialer.flow.errors import FlowError
from dialer.flow.fragments import Fragment
from dialer.flow.model import read_yaml
from dialer.flow.telephone import national_digits
from dialer.flow.values import State
from dialer.flow.words import all_fragments, say_amount, say_date, say_digits

ALWAYS = frozenset({"company", "amount", "due_date"})
"""Placeholders that every call has a value for."""
OPTIONAL = frozenset({"debtor_name", "callback_number"})
"""Placeholders that a call may have no value for: a flow says them only under ``when``."""
GIVEN = frozenset({"promise_date"})
"""Placeholders that a node gives (see ``Node.gives``)."""
PLACEHOLDERS = ALWAYS | OPTIONAL | GIVEN
DISCLOSING_PLACEHOLDERS = frozenset({"amount", "due_date", "promise_date"})

NEUTRAL_GOODBYE = "neutral_goodbye"
"""Said when a session cannot go on; every language has it."""
RECORDING_NOTICE = "recording_notice"
"""Said first on a call that is recorded."""

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_SPOKEN = re.compile(r"\w")
_KEY = re.compile(r"^[a-z][a-z0-9_]{0,63}$")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One text. ``discloses``: says something of the debt."""

    key: str
    text: str
    discloses: bool = False
    parts: tuple[str | Fragment, ...] = field(init=False)
    """In order: a Fragment for a literal piece, the name of a placeholder otherwise."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", _split(self.key, self.text))

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The names in the text, in order."""
        return tuple(part for part in self.parts if isinstance(part, str))


def _split(key: str, text: str) -> tuple[str | Fragment, ...]:
    pieces = _PLACEHOLDER.split(text)  # literal, name, literal, name, ... literal
    if len(pieces) == 1:
        return (Fragment(key, text.strip()),)
    parts: list[str | Fragment] = []
    number = 0
    for index, piece in enumerate(pieces):
        if index % 2:
            parts.append(piece.strip())
        elif _SPOKEN.search(piece):  # a full stop alone has no sound
            number += 1
            parts.append(Fragment(f"{key}-{number}", piece.lstrip(" ,.;:?!\n").rstrip()))
    return tuple(parts)


@dataclass(frozen=True, slots=True)
class Prompts:
    """The prompts of one language by key."""

    language: str
    by_key: Mapping[str, Prompt]

    def prompt(self, key: str) -> Prompt:
        """The prompt. Raises FlowError where there is none."""
        try:
            return self.by_key[key]
        except KeyError:
            raise FlowError(f"prompts/{self.language}.yaml: there is no {key!r}: add it") from None


def languages_of(flows_dir: Path) -> list[str]:
    """The languages that have a prompt file."""
    return sorted(path.stem for path in (flows_dir / "prompts").glob("*.yaml"))


def load_prompts(flows_dir: Path, language: str) -> Prompts:
    """Read ``prompts/<language>.yaml``: key -> text, or ``{text: ..., discloses: true}``.

    Raises FlowError naming file and key for anything else.
    """
    path = flows_dir / "prompts" / f"{language}.yaml"
    return Prompts(language, {k: _prompt(path, k, v) for k, v in read_yaml(path).items()})


def _prompt(path: Path, key: Any, value: Any) -> Prompt:
    where = f"{path}: {key}:"
    if not isinstance(key, str) or not _KEY.match(key):
        raise FlowError(f"{where} a key is made of small letters, digits and _")
    spec = {"text": value} if isinstance(value, str) else value
    if not isinstance(spec, dict) or not isinstance(spec.get("text"), str):
        raise FlowError(f"{where} must be a text, or text: and discloses:")
    if unknown := set(spec) - {"text", "discloses"}:
        raise FlowError(f"{where} {sorted(unknown)[0]} is not known here: remove it")
    if not isinstance(spec.get("discloses", False), bool):
        raise FlowError(f"{where} discloses: must be true or false")
    if not _SPOKEN.search(spec["text"]):
        raise FlowError(f"{where} has no words: write some")
    if spec["text"].count("{") != len(_PLACEHOLDER.findall(spec["text"])):
        raise FlowError(f"{where} a brace is open: write placeholders as {{name}}")
    return Prompt(key, " ".join(spec["text"].split()), spec.get("discloses", False))


def spoken(prompts: Prompts, key: str, state: State) -> list[Fragment]:
    """What a prompt says in this session, file by file.

    Raises FlowError for an unknown prompt, for a placeholder without value, and for a prompt that
    discloses before the identity was proven (the validator has refused such a flow already; the
    debt must stay unsaid even where it was not asked).
    """
    prompt = prompts.prompt(key)
    if prompt.discloses and not state.identified:
        raise FlowError(f"prompt {key}: would disclose before the identity was proven")
    said: list[Fragment] = []
    for part in prompt.parts:
        said += [part] if isinstance(part, Fragment) else _value(part, prompts.language, state)
    return said


def _value(name: str, language: str, state: State) -> list[Fragment]:
    facts = state.known
    match name:
        case "company":
            return [company_fragment(facts.company)]
        case "amount":
            return say_amount(facts.amount, language)
        case "due_date":
            return say_date(facts.due_date, language)
        case "promise_date" if state.promised is not None:
            return say_date(state.promised, language, with_year=False)
        case "callback_number" if facts.callback_number is not None:
            return say_digits(national_digits(facts.callback_number), language)
        case "debtor_name" if facts.debtor_name is not None:
            return [name_fragment(facts.debtor_name)]
    raise FlowError(f"placeholder {{{name}}} has no value in this call: say it under `when`")


def company_fragment(spoken_name: str) -> Fragment:
    """The name of a company as it is said; another name is another file."""
    return Fragment(f"company/{_hash(spoken_name)}", spoken_name)


def name_fragment(name: str) -> Fragment:
    """The name of a debtor; there is a sound file of it only where somebody rendered one. The
    file's name does not tell whose it is."""
    return Fragment(f"name/{_hash(name)}", name)


def _hash(text: str) -> str:
    return hashlib.sha256(text.strip().encode()).hexdigest()[:16]


def prompt_texts(
    flows_dir: Path, language: str, values: Mapping[str, Iterable[str]] | None = None
) -> dict[str, str]:
    """Everything to render for a language: key -> text.

    The pieces of every prompt, every fragment of amounts, dates and numbers, and for ``values``
    (``{"company": [spoken names], "debtor_name": [names]}``) one each. Raises FlowError for a
    prompt file that cannot be read, WordsError for a language without words.
    """
    texts = dict(all_fragments(language))
    for prompt in load_prompts(flows_dir, language).by_key.values():
        texts.update({p.key: p.text for p in prompt.parts if isinstance(p, Fragment)})
    for kind, given in (values or {}).items():
        make = {"company": company_fragment, "debtor_name": name_fragment}[kind]
        texts.update({one.key: one.text for one in map(make, given)})
    return texts
