"""The card of one session, field by field, from the keys to the hand-over."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from dialer.domain.card import Expiry, expiry_of
from dialer.domain.payment import Brand, PayError, PayStep
from dialer.payments import entry
from dialer.payments.conversation import AskField, Entry, FieldKeyed
from dialer.payments.gateway import Card
from dialer.payments.secret import SecretDigits


@dataclass(slots=True)
class CardInHand:
    """What was accepted so far. ``forget`` wipes; whoever made this calls it on every way out.

    ``first``: the first entry of a field that is being keyed in a second time.
    """

    number: SecretDigits | None = None
    expiry: Expiry | None = None
    security_code: SecretDigits | None = None
    postal_code: str | None = None
    first: SecretDigits | None = None

    def judge(
        self, asked: AskField, digits: SecretDigits, accepted: Collection[Brand], today: date
    ) -> FieldKeyed:
        """The verdict on a field; what is right is kept, anything else wiped."""
        with digits.reveal() as raw:
            if asked.entry is Entry.SECOND and not self._is_first(asked.step, raw, today):
                verdict = FieldKeyed(asked.step, PayError.INPUT_MATCHING_FAILED)
            else:
                verdict = entry.judge(asked, raw, accepted, today)
            self.forget(asked.step)
            if verdict.problem is None and asked.entry is Entry.FIRST and not verdict.left_out:
                self.first = SecretDigits(raw)
            elif verdict.problem is None:
                self._keep(asked.step, raw, today)
        digits.wipe()
        return verdict

    def _is_first(self, step: PayStep, raw: bytearray, today: date) -> bool:
        if self.first is None:
            return False
        with self.first.reveal() as first:
            return entry.same(step, first, raw, today)

    def _keep(self, step: PayStep, raw: bytearray, today: date) -> None:
        match step:
            case PayStep.CARD_NUMBER:
                self.number = SecretDigits(raw)
            case PayStep.EXPIRATION_DATE:
                found = expiry_of(raw, today)
                assert isinstance(found, Expiry)  # judged right above
                self.expiry = found
            case PayStep.SECURITY_CODE:
                self.security_code = SecretDigits(raw) if raw else None
            case PayStep.POSTAL_CODE:
                self.postal_code = raw.decode("ascii") or None

    def forget(self, step: PayStep | None = None) -> None:
        """Wipe one field, or all. A first entry goes with either: it is of the field in hand."""
        if self.first is not None:
            self.first.wipe()
            self.first = None
        if step in (None, PayStep.CARD_NUMBER) and self.number is not None:
            self.number.wipe()
            self.number = None
        if step in (None, PayStep.SECURITY_CODE) and self.security_code is not None:
            self.security_code.wipe()
            self.security_code = None
        if step in (None, PayStep.EXPIRATION_DATE):
            self.expiry = None
        if step in (None, PayStep.POSTAL_CODE):
            self.postal_code = None

    def __bool__(self) -> bool:
        return self.number is not None or self.first is not None

    def hand_over(self) -> Card:
        """The card, which is the taker's from now on. Raises ValueError where it is not whole."""
        if self.number is None or self.expiry is None:
            raise ValueError("there is no whole card")
        card = Card(
            self.number,
            self.expiry.month,
            self.expiry.year,
            self.security_code,
            self.postal_code,
        )
        self.number = self.security_code = None
        self.forget()
        return card

    def __repr__(self) -> str:
        return "CardInHand(<hidden>)"
