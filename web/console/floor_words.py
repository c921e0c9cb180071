"""What the page of live calls says: what was done, why not, and the engine's words in ours."""

from __future__ import annotations

from web.problems import Problem
from web.ui.words import gettext as _


def done(action: str) -> str:
    """What follows now."""
    return {
        "listen": _("Your telephone is being called: you will hear both, and nobody hears you."),
        "whisper": _("Your telephone is being called: only the agent will hear you."),
        "barge": _("Your telephone is being called: you will talk with both."),
        "pause": _("No more calls come to this agent until they are ready again."),
        "log_out": _("The agent is logged out."),
        "hang_up": _("The call is ended."),
    }[action]


def refused(problem: Problem) -> str:
    """Why it was not done, and what to do."""
    if problem.code == "engine_away" and problem.more.get("done") == "unknown":
        return _("The engine did not answer in time. It may have been done: look below.")
    said = {
        "engine_away": _("The engine does not answer: nothing was done. See that it runs."),
        "no_call": _("Nobody is on the line there any more."),
        "no_leg": _("The agent's own line is not up, so there is nothing to hear."),
        "no_session": _("That agent has logged out."),
        "overloaded": _("Too much is under way. Try again in a moment."),
        "switch_away": _("The telephone system does not answer: nothing was done."),
        "switch_refused": _("The line was gone at that moment: nothing was done."),
        "talking": _("They are talking: end the call first, or wait until it ends."),
        "too_late": _("The engine came to it too late: nothing was done. Try again."),
    }
    return said.get(problem.code) or _("That cannot be done now (%(code)s).", code=problem.code)


def pause_name(code: str | None) -> str:
    """Why an agent is on a break; what they chose themselves as it stands."""
    names = {
        "away": _("their page or line was lost"),
        "logged_in": _("not ready yet"),
        "no_answer": _("did not take a call"),
        "supervisor": _("by a supervisor"),
    }
    return names.get(code or "") or (code or "").replace("_", " ")


def away_name(why: str) -> str:
    """Where the debtor is while they are out of the talk."""
    names = {
        "consult": _("waits while the agent asks a colleague"),
        "hold": _("on hold"),
        "payment": _("keys in a card: nobody can hear it"),
        "returning": _("comes back"),
        "transfer": _("is passed on"),
    }
    return names.get(why) or why
