"""A campaign's plan in sentences: what happens, in the viewer's language."""

from __future__ import annotations

from itertools import groupby

from dialer.domain.model import CampaignPlan, DayWindow, DialMode, FallbackStep, StepKind
from web.ui.names import dial_mode_name, disposition_name
from web.ui.words import gettext as _
from web.ui.words import ngettext


def fallback_sentence(steps: tuple[FallbackStep, ...]) -> str:
    """What follows when somebody answers and hangs up without a key."""
    if not steps:
        return _("Who answers and hangs up without a key is left alone until the next try.")
    parts = [_step(step) for step in steps]
    said = _("Who answers and hangs up without a key %(first)s", first=parts[0])
    for part in parts[1:]:
        said += _("; where that is not possible, %(next)s", next=part)
    return said + "."


def _step(step: FallbackStep) -> str:
    if step.kind is StepKind.REDIAL:
        days = f"{step.unseen_days:g}"
        return _(
            "is called again at once, from a number that this telephone has not seen for"
            " %(days)s days",
            days=days,
        )
    if step.kind is StepKind.SMS:
        return _("gets an SMS, if the number is a mobile")
    return _("is tried again later, as after a call that nobody answered")


def mode_sentence(plan: CampaignPlan) -> str:
    """How many calls are placed, and who takes them."""
    terms = plan.agents
    if not terms.mode.needs_agents:
        return _("Nobody has to be there: debtors listen and press keys.")
    said = _("%(mode)s: who answers is given to an agent", mode=dial_mode_name(terms.mode.value))
    if terms.mode is DialMode.POWER:
        ratio = f"{terms.ratio:g}"
        said += _(", %(ratio)s lines for each free one", ratio=ratio)
    if terms.mode.overdials:
        hold, limit = f"{terms.hold:g}", f"{terms.max_abandoned * 100:g}"
        said += _(
            ", or hears who called after %(hold)s seconds; at most %(limit)s %% of those who"
            " answer",
            hold=hold,
            limit=limit,
        )  # fmt: skip
    return said + "."


def hours_sentence(window: tuple[DayWindow, ...]) -> str:
    """When calls may be made, days with the same hours together."""
    names = (_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun"))
    by_day = sorted(window, key=lambda one: (one.weekday, one.start))
    hours = {
        day: ", ".join(_span(one) for one in ones)
        for day, ones in groupby(by_day, key=lambda one: one.weekday)
    }
    parts = []
    for said, days in groupby(sorted(hours), key=lambda day: hours[day]):
        run = list(days)
        whole = names[run[0]] if len(run) == 1 else f"{names[run[0]]}–{names[run[-1]]}"
        parts.append(f"{whole} {said}")
    return "; ".join(parts)


def _span(one: DayWindow) -> str:
    # The end is not included: midnight is the end of the day.
    end = "24:00" if f"{one.end:%H:%M}" == "00:00" else f"{one.end:%H:%M}"
    return f"{one.start:%H:%M}–{end}"


def caps_sentence(plan: CampaignPlan) -> str:
    """How often a debtor may be reached."""
    return _(
        "At most %(day)s calls and messages a day and %(week)s in seven days, over all campaigns"
        " of the company.",
        day=plan.rules.max_per_day, week=plan.rules.max_per_week,
    )  # fmt: skip


def retry_sentences(plan: CampaignPlan) -> list[str]:
    """When a lead is tried again, by how the call ended."""
    return [
        _("%(end)s: again after %(delay)s, %(times)s", end=disposition_name(end.value),
          delay=_span_of(rule.delay), times=_times(rule.max_attempts))
        for end, rule in plan.retry.items()
    ]  # fmt: skip


def _times(count: int) -> str:
    return ngettext("once at most", "%(num)s times at most", count)


def _span_of(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
