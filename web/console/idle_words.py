"""Why a campaign calls nobody, in the viewer's language; what can be done about it on the pages."""

from __future__ import annotations

from dialer.domain.model import CampaignState
from dialer.store import idle_reasons as idle
from dialer.store.idle_reasons import Reason
from web.ui import formats, names
from web.ui.words import gettext as _
from web.ui.words import ngettext


def said(reason: Reason) -> str:
    """A reason, in a sentence."""
    match reason:
        case idle.Waits():
            return _waits(reason)
        case idle.NoAgent() | idle.NoneFree() | idle.TooManyAbandoned():
            return _agents(reason)
        case idle.AllDone(closed=closed):
            ended = ", ".join(
                f"{formats.number(count)} {names.closed_name(why)}" for why, count in closed.items()
            )
            return _("Every debtor of it is done: %(ended)s.", ended=ended)
        case idle.Full(calls=calls, most=most):
            return _(
                "%(calls)s calls are going on, and it may have %(most)s at once.",
                calls=formats.number(calls), most=formats.number(most),
            )  # fmt: skip
        case idle.TrunkFull(trunk=trunk, calls=calls, most=most):
            return _(
                "The trunk %(trunk)s is full: %(calls)s of %(most)s calls.",
                trunk=trunk, calls=formats.number(calls), most=formats.number(most),
            )  # fmt: skip
        case idle.NoLeads():
            return _("It has nobody to call: bring a list in, or add the company's accounts below.")
        case idle.NoCallerId():
            return _("It has no number to show: add some to its pool.")
        case idle.NoEngine():
            return _("No engine runs it: whoever keeps the machine has to start one.")
        case idle.NotRunning(state=state):
            return _state(state)


def _state(state: CampaignState) -> str:
    return _("It is not running: %(state)s.", state=names.campaign_state_name(state.value))


def _waits(one: idle.Waits) -> str:
    if one.refused is not None:
        why = names.refusal_name(one.refused.value)
    elif one.after is not None:
        why = _("not their turn yet, after: %(ended)s", ended=names.disposition_name(one.after))
    else:
        why = _("not their turn yet")
    text = ngettext("%(num)s debtor: %(why)s", "%(num)s debtors: %(why)s", one.count, why=why)
    if one.until is not None:
        text += _(", the first until %(when)s", when=formats.moment_of(one.until))
    if not one.looked.whole:
        text += " " + _(
            "(of %(looked)s looked at, %(waiting)s wait)",
            looked=formats.number(one.looked.at),
            waiting=formats.number(one.looked.waiting),
        )
    return text


def _agents(one: idle.NoAgent | idle.NoneFree | idle.TooManyAbandoned) -> str:
    match one:
        case idle.NoAgent(skill=skill) if skill:
            return _(
                "No agent with the skill %(skill)s is logged in, and its calls go to them.",
                skill=skill,
            )
        case idle.NoAgent():
            return _("No agent is logged in, and its calls go to agents.")
        case idle.NoneFree(skill=skill, doing=doing):
            states = ", ".join(
                f"{names.agent_state_name(state)}: {count}" for state, count in doing.items()
            )
            if not skill:
                return _("No agent is free (%(states)s).", states=states)
            return _(
                "No agent with the skill %(skill)s is free (%(states)s).",
                skill=skill, states=states,
            )  # fmt: skip
        case idle.TooManyAbandoned():
            return _(
                "%(abandoned)s of the last %(answered)s live answers found no agent (%(share)s,"
                " the limit is %(limit)s): it stands still. The progressive mode abandons nobody.",
                abandoned=formats.number(one.abandoned), answered=formats.number(one.answered),
                share=formats.percent(one.share), limit=formats.percent(one.limit),
            )  # fmt: skip
