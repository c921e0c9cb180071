"""Made-up debtors for the simulated network: valid numbers, valid documents, nobody real.

The last two digits of a number say who answers there (``dialer.simulation.personas``). The last
four digits of a debtor's document equal those of the number, so that a persona knows its own
factor of identity. Everything follows from the seed.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import phonenumbers
from stdnum.es import dni, nie

from dialer.simulation.persona import Persona
from dialer.simulation.personas import PERSONAS

# fmt: off
COLUMNS = (
    "documento", "nombre", "telefono1", "telefono2", "referencia", "importe", "moneda",
    "vencimiento", "email", "idioma",
)
# fmt: on
"""The columns of the file, as the importer reads them."""

_AREAS = ("91", "93", "94", "95", "96", "97", "98")
# fmt: off
_GIVEN = (
    "Carmen", "Antonio", "María", "José", "Ana", "Manuel", "Laura", "Francisco", "Isabel",
    "David", "Lucía", "Javier", "Marta", "Carlos", "Elena", "Miguel", "Paula", "Rafael",
    "Cristina", "Pedro", "Rosa", "Ángel", "Pilar", "Sergio", "Raquel", "Pablo", "Sofía",
    "Fernando", "Beatriz", "Jorge",
)
_FAMILY = (
    "García", "Fernández", "González", "Rodríguez", "López", "Martínez", "Sánchez", "Pérez",
    "Gómez", "Martín", "Jiménez", "Ruiz", "Hernández", "Díaz", "Moreno", "Muñoz", "Álvarez",
    "Romero", "Alonso", "Gutiérrez", "Navarro", "Torres", "Domínguez", "Vázquez", "Ramos",
    "Gil", "Ramírez", "Serrano", "Blanco", "Molina",
)
# fmt: on
_PLAIN = str.maketrans("áéíóúñü", "aeiounu")
_TRIES = 10_000


@dataclass(frozen=True, slots=True)
class MadeUpLead:
    """One debtor. ``phones`` in E.164; ``amount`` in cents; ``persona`` answers at every phone."""

    document: str
    name: str
    phones: tuple[str, ...]
    reference: str
    amount: int
    currency: str
    due: date
    email: str
    language: str
    persona: Persona

    def row(self) -> dict[str, str]:
        """The line of the file."""
        return {
            "documento": self.document,
            "nombre": self.name,
            "telefono1": self.phones[0],
            "telefono2": self.phones[1] if len(self.phones) > 1 else "",
            "referencia": self.reference,
            "importe": f"{self.amount // 100}.{self.amount % 100:02d}",
            "moneda": self.currency,
            "vencimiento": self.due.isoformat(),
            "email": self.email,
            "idioma": self.language,
        }


def make_leads(
    count: int,
    seed: int,
    *,
    today: date,
    personas: Sequence[Persona] | None = None,
    mobile_share: float = 0.8,
    second_phone_share: float = 0.0,
    language: str = "es",
) -> list[MadeUpLead]:
    """``count`` debtors, each with numbers and a document of its own.

    ``personas`` are drawn by their weight (default all); given in a list with weight 0 they are
    taken in turn instead, so that a test gets each of them. Raises ValueError when there are not
    so many numbers.
    """
    chance = random.Random(seed)
    chosen = _draw(chance, count, list(PERSONAS.values()) if personas is None else list(personas))
    taken: set[str] = set()
    leads = []
    for serial, persona in enumerate(chosen, start=1):
        phones = [_phone(chance, persona.code, chance.random() < mobile_share, taken)]
        factor = phones[0][-4:]
        if chance.random() < second_phone_share:
            phones.append(_phone(chance, factor, chance.random() < mobile_share, taken))
        given = chance.choice(_GIVEN)
        name = f"{given} {chance.choice(_FAMILY)} {chance.choice(_FAMILY)}"
        amount = min(900_000, max(1_500, round(chance.lognormvariate(10.2, 0.9))))
        leads.append(
            MadeUpLead(
                document=_document(chance, factor, taken),
                name=name,
                phones=tuple(phones),
                reference=f"F-{today.year}-{serial:06d}",
                amount=persona.amount or amount,
                currency="EUR",
                due=today - timedelta(days=chance.randint(5, 240)),
                email=f"{given.lower().translate(_PLAIN)}.{serial}@example.com",
                language=persona.language or language,
                persona=persona,
            )
        )
    return leads


def save_leads(leads: Iterable[MadeUpLead], path: Path) -> Path:
    """Write the file that the importer reads (UTF-8, comma); returns ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS)
        writer.writeheader()
        writer.writerows(lead.row() for lead in leads)
    return path


def write_leads(
    path: Path, count: int, seed: int, *, today: date | None = None
) -> list[MadeUpLead]:
    """Make up debtors (``make_leads``) and write their file; ``today`` default the real one."""
    leads = make_leads(count, seed, today=today or datetime.now(UTC).date())
    save_leads(leads, path)
    return leads


def _draw(chance: random.Random, count: int, personas: list[Persona]) -> list[Persona]:
    weights = [persona.weight for persona in personas]
    if not any(weights):
        return [personas[index % len(personas)] for index in range(count)]
    return chance.choices(personas, weights, k=count)


def _phone(chance: random.Random, ending: str, mobile: bool, taken: set[str]) -> str:
    """A number of Spain's plan that nobody of the list has yet."""
    for _ in range(_TRIES):
        start = "6" if mobile else chance.choice(_AREAS)
        middle = "".join(chance.choices("0123456789", k=9 - len(start) - len(ending)))
        number = f"+34{start}{middle}{ending}"
        if number not in taken and phonenumbers.is_valid_number(phonenumbers.parse(number)):
            taken.add(number)
            return number
    raise ValueError("there are not so many numbers of this kind: ask for fewer leads")


def _document(chance: random.Random, factor: str, taken: set[str]) -> str:
    """A DNI (or, one in ten, a NIE) with a right check letter, ending in ``factor``."""
    for _ in range(_TRIES):
        if chance.random() < 0.1:
            body = f"{chance.choice('XYZ')}{chance.randrange(1000):03d}{factor}"
            document = body + nie.calc_check_digit(body)
        else:
            body = f"{chance.randrange(1000, 9999):04d}{factor}"
            document = body + dni.calc_check_digit(body)
        if document not in taken:
            taken.add(document)
            return str(document)
    raise ValueError("there are not so many documents: ask for fewer leads")
