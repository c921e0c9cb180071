"""What lies before a campaign, in words: whom the policy lets it call, when it would be done."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from dialer.domain.forecast import Bound, Habits, margin_of
from dialer.domain.model import Refusal
from dialer.engine.allowed import NEXT_TRY, margin
from dialer.engine.claiming import BAD_TIMEZONE
from dialer.engine.outlook import Outlook
from web.console.sentences import hours_sentence
from web.ui import formats, names
from web.ui.words import gettext as _
from web.ui.words import ngettext

DAYS_EXACT = timedelta(days=2)
"""An end further away is told by its day: nobody foretells hours over a week."""


def groups(seen: Outlook) -> list[tuple[str, int, float]]:
    """(when they may be called, how many of all, their share)."""
    found = seen.allowed
    first = _("At the start") if seen.ahead else _("Now")
    rows = [
        (first, found.now),
        (_("Later on the same day"), found.today),
        (_("Within seven days"), found.week),
        (_("Later than that"), found.later),
        (_("Never"), found.never),
    ]
    whole = found.looked_at or 1
    return [(said, seen.of_all(count), count / whole) for said, count in rows]


def why(seen: Outlook) -> list[tuple[str, int]]:
    """Why those who may not be called at once may not; how many of all."""
    return [
        (reason_name(reason), seen.of_all(count))
        for reason, count in seen.allowed.why.most_common()
    ]


def reason_name(reason: str) -> str:
    """A refusal, or why a lead would be closed."""
    own = {
        NEXT_TRY: _("Called already, waiting for the next try"),
        BAD_TIMEZONE: _("Their time zone is not known"),
    }
    if reason in own:
        return own[reason]
    known = reason in set(Refusal)
    return names.refusal_name(reason) if known else names.closed_name(reason)


def looked_sentence(seen: Outlook) -> str:
    """How it was counted."""
    sample = seen.facts.sample
    if sample.all:
        return ngettext(
            "%(num)s lead was looked at, by the rules that every call is held to.",
            "All %(num)s leads were looked at one by one, by the rules that every call is held to.",
            sample.whole,
        )
    return _(
        "%(sample)s of %(whole)s leads, evenly drawn, were looked at one by one, by the rules that"
        " every call is held to; each share may be off by %(margin)s.",
        sample=formats.number(len(sample.ids)), whole=formats.number(sample.whole),
        margin=formats.percent(margin(len(sample.ids), sample.whole), 0),
    )  # fmt: skip


def allowed_line(seen: Outlook) -> str:
    """What the policy allows, in a line."""
    waiting, share = formats.number(seen.facts.sample.whole), formats.percent(seen.now_share, 0)
    said = _("Of %(n)s waiting leads the rules of contact allow %(share)s to be called now.",
             n=waiting, share=share)  # fmt: skip
    if seen.ahead:
        said = _("Of %(n)s waiting leads the rules of contact allow %(share)s to be called when it"
                 " starts.", n=waiting, share=share)  # fmt: skip
    most = why(seen)
    if most:
        said += " " + _("Most of the others: %(reason)s.", reason=most[0][0])
    return said


def end_sentence(seen: Outlook) -> str:
    """When it is done."""
    found, zone = seen.forecast, seen.facts.plan.default_timezone
    if not seen.allowed.ever:
        return _("There is nobody to call, so it has no end to foretell.")
    if found.per_second <= 0:
        return _("Never: no agent of the company may take its calls.")
    if found.soonest is None:
        return _("Not within %(days)s days.", days=400)
    if found.latest is None:
        return _("Not before %(first)s; it may take more than %(days)s days.",
                 first=_when(found.soonest, seen.at, zone), days=400)  # fmt: skip
    first = _when(found.soonest, seen.at, zone)
    last = _when(found.latest, seen.at, zone)
    if first == last:
        return _("Everybody will have been called as often as allowed on %(day)s.", day=first)
    return _("Everybody will have been called as often as allowed between %(first)s and %(last)s.",
             first=first, last=last)  # fmt: skip


def _when(at: datetime, now: datetime, zone: str) -> str:
    if at - now < DAYS_EXACT:
        return formats.moment_of(at, zone)
    return formats.date_of(at.astimezone(ZoneInfo(zone)).date())


def assumptions(seen: Outlook) -> list[str]:
    """What the end rests on, a sentence each."""
    found, facts = seen.forecast, seen.facts
    return [
        _("%(leads)s leads may be called at some time; by the rules of trying again that makes"
          " about %(calls)s calls, %(each)s tries for each.",
          leads=formats.number(seen.of_all(seen.allowed.ever)),
          calls=formats.number(_rounded(found.calls)),
          each=formats.number(round(found.per_lead, 1))),
        _habits_sentence(facts.habits),
        _rate_sentence(seen),
        _("Calls are made %(hours)s, in the time of %(zone)s, and not on its holidays.",
          hours=hours_sentence(facts.plan.rules.window), zone=facts.plan.default_timezone),
        _("At the soonest nothing ever stands still and %(margin)s fewer leads have to be tried"
          " again; at the latest a quarter of the time is lost, %(margin)s more have to be tried"
          " again, and the last one waits as long as any does.",
          margin=formats.percent(margin_of(facts.habits), 0)),
    ]  # fmt: skip


def _habits_sentence(found: Habits) -> str:
    live, line = formats.percent(found.live, 0), formats.number(round(found.line))
    if found.calls:
        return _(
            "As the company's last %(calls)s calls went: a person answers %(live)s of them, and a"
            " call holds its line for %(line)s seconds.",
            calls=formats.number(found.calls), live=live, line=line,
        )  # fmt: skip
    return _(
        "The company has too few calls to go by, so it is assumed, not measured, that a person"
        " answers %(live)s of them and that a call holds its line for %(line)s seconds.",
        live=live, line=line,
    )  # fmt: skip


def _rate_sentence(seen: Outlook) -> str:
    found, plan = seen.forecast, seen.facts.plan
    hour = formats.number(_rounded(found.per_second * 3600))
    if found.bound is Bound.AGENTS:
        return ngettext(
            "%(hour)s calls an hour, which is what %(num)s agent can take.",
            "%(hour)s calls an hour, which is what %(num)s agents can take.",
            seen.facts.agents, hour=hour,
        )  # fmt: skip
    if found.bound is Bound.LINES:
        return ngettext(
            "%(hour)s calls an hour, which is what %(num)s call at once comes to.",
            "%(hour)s calls an hour, which is what %(num)s calls at once come to.",
            plan.max_concurrent, hour=hour,
        )  # fmt: skip
    return _("%(hour)s calls an hour, which is what the campaign may place.", hour=hour)


def _rounded(value: float) -> int:
    """To two digits that mean something."""
    step = 10 ** max(0, len(str(int(value))) - 2)
    return int(round(value / step) * step)
