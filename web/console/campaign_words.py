"""Why something could not be done to a campaign, in the viewer's language."""

from __future__ import annotations

from dialer.store import campaigns as store
from dialer.store.companies import NotPossible
from web.ui.names import campaign_state_name
from web.ui.said import error_text
from web.ui.words import gettext as _


def refused(error: NotPossible) -> str:
    """What is known by its kind in words of the page, anything else in its own."""
    match error:
        case store.WrongState(state=state):
            return _(
                "That is not possible in its present state: %(state)s.",
                state=campaign_state_name(state.value),
            )
        case store.NobodyToCall():
            return _("It has nobody to call: bring a list in, or add the company's accounts below.")
        case store.ChangedMeanwhile():
            return _("Somebody else has just changed it: look, and try again.")
        case store.TimePassed():
            return _("That time has passed already.")
        case store.RingsTooBriefly():
            return _(
                "It rings for too short a time for that mode, which may give up no sooner than the"
                " rules of the country say."
            )
        case _:
            return error_text(error)
