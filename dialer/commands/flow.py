"""``dialer flow``: list, check, draw and try what debtors hear."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click

from dialer.commands.common import json_option, write_json, write_table
from dialer.commands.exits import FAILED, OK
from dialer.config import load_settings
from dialer.domain.currency import parse_written
from dialer.domain.model import Money
from dialer.flow.check import check_named
from dialer.flow.drawing import draw
from dialer.flow.errors import FlowError
from dialer.flow.graph import bounds
from dialer.flow.model import Flow, flow_names, load_named
from dialer.flow.prompts import load_prompts
from dialer.flow.transcript import Session, as_input, play
from dialer.flow.values import Facts, Said
from dialer.flow.words import SPOKEN

SAMPLE_FACTOR = "5678"
MOST_ANSWERS = 500


@click.group("flow")
def flow() -> None:
    """Check, draw and try flows: the files of ivr_flows/."""


@flow.command("list")
@json_option
def list_(as_json: bool) -> int:
    """The flows there are."""
    flows_dir = load_settings().flows_dir
    found = [_about(flows_dir, name) for name in flow_names(flows_dir)]
    if as_json:
        write_json(found)
    else:
        headings = ("name", "title", "kind", "languages", "nodes", "problems")
        write_table("", headings, [[f"{one[h]}" for h in headings] for one in found])
    return OK


def _about(flows_dir: Path, name: str) -> dict[str, object]:
    """A flow in a line; one that cannot be read shows its problem only."""
    problems = check_named(flows_dir, name)
    try:
        one = load_named(flows_dir, name)
    except FlowError:
        return {
            "name": name, "title": "", "kind": "", "languages": "", "nodes": 0,
            "problems": len(problems),
        }  # fmt: skip
    return {
        "name": name,
        "title": one.title,
        "kind": one.kind.value,
        "languages": " ".join(one.languages),
        "nodes": len(one.nodes),
        "problems": len(problems),
    }


@flow.command("check")
@click.argument("names", nargs=-1)
@json_option
def check(names: tuple[str, ...], as_json: bool) -> int:
    """Prove that flows may be used; all of them without NAMES.

    Proven are: every node is reachable; every question has a way out for no key and a wrong key;
    a call ends after a known number of questions; every text is there in every language with the
    same placeholders; nothing about the debt is said before the identity is proven; from every
    question a way leads to no more calls; a call concludes once. Exit code 1 where one is not.
    """
    flows_dir = load_settings().flows_dir
    chosen = list(names) or flow_names(flows_dir)
    if not chosen:
        raise FlowError(f"there are no flows in {flows_dir}: write one, or set DIALER_FLOWS_DIR")
    problems = {name: check_named(flows_dir, name) for name in chosen}
    if as_json:
        write_json(
            {
                name: [
                    {"node": p.node, "proof": p.proof, "what": p.what, "todo": p.todo}
                    for p in found
                ]
                for name, found in problems.items()
            }
        )
    else:
        for name, found in problems.items():
            for problem in found:
                click.echo(str(problem))
            if not found:
                click.echo(f"{name}: {_bounds_in_words(load_named(flows_dir, name))}")
    return FAILED if any(problems.values()) else OK


def _bounds_in_words(one: Flow) -> str:
    visits, asked = bounds(one)
    return f"proven; {len(one.nodes)} nodes, at most {asked} questions and {visits} steps a call"


@flow.command("show")
@click.argument("name")
@click.option("--language", help="Of the texts in the drawing; default the flow's first.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the drawing; default NAME.svg here. '-' writes to standard output.",
)
@json_option
def show(name: str, language: str | None, out: Path | None, as_json: bool) -> int:
    """Draw a flow as SVG, for a browser."""
    flows_dir = load_settings().flows_dir
    one = load_named(flows_dir, name)
    spoken = _language(one, language)
    drawing = draw(one, load_prompts(flows_dir, spoken))
    if out == Path("-"):
        click.echo(drawing, nl=False)
        return OK
    target = out or Path(f"{name}.svg")
    try:
        target.write_text(drawing, encoding="utf-8")
    except OSError as error:
        raise FlowError(f"{target} cannot be written ({error.strerror}): give --out") from error
    if as_json:
        write_json({"flow": name, "language": spoken, "file": str(target), "nodes": len(one.nodes)})
    else:
        click.echo(f"drawn: {target}")
    return OK


@flow.command("try")
@click.argument("name")
@click.option("--language", help="What is spoken; default the flow's first language.")
@click.option(
    "--keys",
    help='Answers in order, as "1 5678 2": keys, - for none, x hangs up, =success (or another '
    "result) for what became of a payment, =agent or =nobody for a person. Without it you are "
    "asked.",
)
@click.option("--company", default="Banco Ejemplo", show_default=True, help="Who calls.")
@click.option("--amount", default="1234.56 EUR", show_default=True, help="Amount and currency.")
@click.option("--name", "debtor", help="Name of the debtor, as if its sound had been rendered.")
@click.option("--landline", is_flag=True, help="The number called takes no SMS.")
@click.option("--cards", is_flag=True, help="Cards can be taken, as where a gateway is set.")
@click.option("--agents", is_flag=True, help="People may work here, who are asked for.")
@json_option
def try_(
    name: str,
    language: str | None,
    keys: str | None,
    company: str,
    amount: str,
    debtor: str | None,
    landline: bool,
    cards: bool,
    agents: bool,
    as_json: bool,
) -> int:
    """Walk through a flow in the terminal, without telephony.

    The document of the made-up debtor ends in 5678.
    """
    flows_dir = load_settings().flows_dir
    one = load_named(flows_dir, name)
    spoken = _language(one, language)
    prompts = load_prompts(flows_dir, spoken)
    today = datetime.now(UTC).date()
    facts = Facts(
        language=spoken,
        today=today,
        company=company,
        amount=_money(amount),
        due_date=_a_month_before(today),
        factor=SAMPLE_FACTOR,
        takes_sms=not landline,
        debtor_name=debtor,
        callback_number="+34910000000",
        cards=cards,
        agents=agents,
    )
    if keys is None and not as_json:
        return _walk(Session(one, prompts, facts))
    lines = play(one, prompts, facts, (keys or "").split())
    if as_json:
        write_json({"flow": name, "language": spoken, "transcript": lines})
    else:
        click.echo("\n".join(lines))
    return OK


def _walk(session: Session) -> int:
    click.echo(
        "Keys, or nothing for none, or x to hang up; =success or another result for a payment; "
        "=agent or =nobody for a person. "
        f"The document ends in {SAMPLE_FACTOR}."
    )
    _echo(session.start())
    for _ in range(MOST_ANSWERS):
        if session.over:
            break
        if not session.asks:
            _echo(session.give(Said()))
            continue
        word = click.prompt(">", default="-", show_default=False, prompt_suffix=" ").strip()
        try:
            _echo(session.give(as_input(word)))
        except FlowError as error:
            click.echo(f"  {error}")
    return OK


def _echo(lines: list[str]) -> None:
    for line in lines:
        click.echo(f"  {line}")


def _language(one: Flow, wanted: str | None) -> str:
    if wanted is not None and wanted not in one.languages:
        raise click.UsageError(
            f"flow {one.name} does not speak {wanted!r}: use one of {', '.join(one.languages)}"
        )
    return wanted or one.languages[0]


def _money(text: str) -> Money:
    try:
        money = parse_written(text)
    except ValueError as error:
        raise click.UsageError(f"--amount: {error}") from error
    if money.currency not in SPOKEN:
        raise click.UsageError(f"--amount: it can be said in one of {', '.join(SPOKEN)}")
    return money


def _a_month_before(today: date) -> date:
    return today - timedelta(days=30)
