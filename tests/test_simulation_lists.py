"""Personas as a table and in lists of made-up debtors."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path

import phonenumbers
import pytest
from stdnum.es import dni, nie

from dialer.config import ROOT
from dialer.domain.model import Disposition
from dialer.flow.nodes.identity import factor_of
from dialer.simulation.cards import BINS, behaviour_of, luhn_digit
from dialer.simulation.debtor_cards import card_of
from dialer.simulation.leads import COLUMNS, make_leads, write_leads
from dialer.simulation.payers import PAYERS
from dialer.simulation.persona import Memory
from dialer.simulation.personas import EVERYBODY, PERSONAS, named, page, persona_of
from dialer.simulation.talkers import TALKERS
from dialer.speech.debtor_lines import SPOKEN, TONES

TODAY = date(2026, 6, 1)


def test_the_page_holds_the_table() -> None:
    there = (ROOT / "docs" / "personas.md").read_text()
    assert there == page(), "run: python -m dialer.simulation.personas"


def test_codes_and_names_are_single() -> None:
    assert all(code == persona.code and len(code) == 2 for code, persona in PERSONAS.items())
    assert len({persona.name for persona in PERSONAS.values()}) == len(PERSONAS)
    assert named("busy") is PERSONAS["50"] and persona_of("+34600000050") is PERSONAS["50"]
    assert persona_of("+34600000099") is None


@pytest.mark.parametrize("persona", PERSONAS.values(), ids=lambda p: p.name)
def test_each_script_has_its_expectation_and_says_what_can_be_said(persona: object) -> None:
    from dialer.simulation.persona import Persona

    assert isinstance(persona, Persona)
    assert len(persona.expects) == len(persona.scripts)
    assert persona.memory is Memory.CALLS or len(persona.scripts) == 2
    for script, expected in zip(persona.scripts, persona.expects, strict=True):
        lines = [line for step in script for line in step.lines]
        assert (expected.answered) is any(line.startswith("Answer(") for line in lines)
        for line in lines:
            if line.startswith("Playback("):
                spoken = line.partition("/")[2].partition(",")[0]
                assert spoken in SPOKEN or spoken in TONES
        assert lines[-1].startswith(("Wait(", "Hangup(", "PJSIPHangup(", "SendDTMF(", "Record("))


def test_what_comes_call_by_call() -> None:
    persona = named("hangs_up_then_listens")
    assert [persona.expected_at(call) for call in (1, 2, 3)] == [
        Disposition.ANSWERED_ABANDONED,
        Disposition.PROMISE,
        Disposition.PROMISE,
    ]
    assert persona.script_at(1) != persona.script_at(2) == persona.script_at(9)


def test_a_list_is_of_its_seed() -> None:
    assert make_leads(50, 7, today=TODAY) == make_leads(50, 7, today=TODAY)
    assert make_leads(50, 7, today=TODAY) != make_leads(50, 8, today=TODAY)


def test_every_lead_is_valid_and_knows_its_factor() -> None:
    leads = make_leads(2000, 1, today=TODAY, second_phone_share=0.2)
    phones = [phone for lead in leads for phone in lead.phones]
    assert len(set(phones)) == len(phones) > 2000
    assert len({lead.document for lead in leads}) == len({lead.reference for lead in leads}) == 2000
    mobiles = 0
    for lead in leads:
        assert dni.is_valid(lead.document) or nie.is_valid(lead.document)
        for phone in lead.phones:
            parsed = phonenumbers.parse(phone)
            assert phonenumbers.is_valid_number(parsed)
            kind = phonenumbers.number_type(parsed)
            mobiles += kind == phonenumbers.PhoneNumberType.MOBILE
            assert persona_of(phone) is lead.persona
            assert factor_of(lead.document) == phone[-4:]
        assert lead.due < TODAY and 1500 <= lead.amount <= 900_000
    assert 0.7 < mobiles / len(phones) < 0.9


def test_the_mix_follows_the_weights() -> None:
    seen = Counter(lead.persona.code for lead in make_leads(5000, 3, today=TODAY))
    assert set(seen) == {code for code, persona in PERSONAS.items() if persona.weight}
    total = sum(persona.weight for persona in PERSONAS.values())
    assert seen["51"] / 5000 == pytest.approx(PERSONAS["51"].weight / total, rel=0.3)


def test_asked_for_personas_come_in_turn() -> None:
    wanted = [replace(named(name), weight=0) for name in ("busy", "promiser", "fax")]
    leads = make_leads(6, 1, today=TODAY, personas=wanted)
    assert [lead.persona.name for lead in leads] == ["busy", "promiser", "fax"] * 2


def test_too_many_of_one_kind_is_told() -> None:
    with pytest.raises(ValueError, match="fewer leads"):
        make_leads(3, 1, today=TODAY, personas=[replace(named("busy"), code="34600123450"[-9:])])


def test_the_file_is_what_the_importer_reads(tmp_path: Path) -> None:
    path = tmp_path / "lists" / "debtors.csv"
    leads = write_leads(path, 30, 5, today=TODAY)
    assert leads == make_leads(30, 5, today=TODAY)
    with path.open(encoding="utf-8", newline="") as source:
        rows = list(csv.DictReader(source))
    assert tuple(rows[0]) == COLUMNS
    assert [row["documento"] for row in rows] == [lead.document for lead in leads]
    assert all(
        float(row["importe"]) * 100 == pytest.approx(lead.amount)
        for row, lead in zip(rows, leads, strict=True)
    )


def test_cards_of_debtors_are_their_own_and_right() -> None:
    leads = make_leads(300, 7, today=TODAY, personas=list(PAYERS.values()))
    seen = set()
    for lead in leads:
        for kind in lead.persona.cards:
            card = card_of(lead.phones[0], kind, TODAY)
            assert len(card.number) == BINS[kind.brand][1]
            right = luhn_digit(card.number[:-1]) == int(card.number[-1])
            assert right == (kind.luhn == 0)
            assert len(card.code) == kind.code_length and int(card.code) > 0
            assert behaviour_of(card.number) is kind.behaviour
            seen.add(card.number)
    assert len(seen) >= len(leads)
    with_amount = [lead for lead in leads if lead.persona.amount]
    assert with_amount and all(lead.amount == lead.persona.amount for lead in with_amount)
    assert {lead.language for lead in leads} == {"es", "en"}


def test_nobody_lives_at_two_codes() -> None:
    assert len(EVERYBODY) == len(PERSONAS) + len(PAYERS) + len(TALKERS)
    assert len({one.name for one in EVERYBODY.values()}) == len(EVERYBODY)


def test_who_is_there_for_agents_comes_on_demand_only() -> None:
    drawn = {lead.persona.code for lead in make_leads(3000, 5, today=TODAY)}
    assert not drawn & set(TALKERS)
    for code, persona in TALKERS.items():
        assert persona.code == code and persona_of(f"+346000000{code}") is persona
        assert len(persona.expects) == len(persona.scripts)
