"""Which prompts there are: every key with its text, by language."""

from __future__ import annotations

from collections.abc import Iterable

from dialer.config import Settings
from dialer.flow.errors import FlowError
from dialer.flow.prompts import languages_of, prompt_texts
from dialer.flow.words import WordsError


class PromptError(Exception):
    """A prompt cannot be made; the message names it and says what to do."""


def prompt_catalogue(
    settings: Settings, companies: Iterable[str] = ()
) -> dict[str, dict[str, str]]:
    """Language -> key -> text of every prompt, every fragment, and the names of companies.

    ``companies`` are names as they are spoken. Raises PromptError when the texts cannot be read.
    """
    spoken = {"company": list(companies)}
    try:
        return {
            language: prompt_texts(settings.flows_dir, language, spoken)
            for language in languages_of(settings.flows_dir)
        }
    except (FlowError, WordsError) as error:
        raise PromptError(str(error)) from error
