"""How a text looks when it is filled in, and whether it says what it has to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dialer.domain.said import of_error
from dialer.messaging import editing
from dialer.messaging.duties import Found, costly_letters, duties_of
from dialer.messaging.sms_length import SmsLength, sms_length
from dialer.messaging.templates import AFTER_PAYMENT, SAMPLE, MessageTemplateError, fill_in


@dataclass(frozen=True, slots=True)
class Preview:
    """A text filled in; ``fault``: why it cannot be."""

    text: str = ""
    length: SmsLength | None = None
    letters: Sequence[str] = ()
    duties: Sequence[Found] = ()
    fault: str = ""

    @property
    def sound(self) -> bool:
        """Nothing that has to stand in it is missing."""
        return not self.fault and all(one.kept for one in self.duties)


def languages(folder: Path) -> list[str]:
    """Those that there are texts in."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def sample_of(template: str) -> dict[str, str]:
    """What a text is filled in with for a made-up debtor."""
    return {**SAMPLE, **AFTER_PAYMENT.get(template, {})}


def preview(
    folder: Path, language: str, template: str, values: Mapping[str, str],
    source: str | None = None,
) -> Preview:  # fmt: skip
    """A text of a folder, or ``source`` in its place, filled in with ``values``."""
    try:
        wanted = editing.source_of(folder, language, template) if source is None else source
        editing.check_places(wanted)
        text = fill_in(wanted, template, language, values)
    except MessageTemplateError as error:
        return Preview(fault=of_error(error))
    return Preview(
        text=text,
        length=sms_length(text),
        letters=costly_letters(text),
        duties=duties_of(template, text, values["company"], values["callback"], values["link"]),
    )
