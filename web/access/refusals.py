"""Pages that say no: not found, not yours, out of order."""

from __future__ import annotations

from flask import Response, make_response, render_template

from web.ui.words import gettext as _


def page(status: int) -> Response:
    """What a person reads in place of the page they asked for."""
    if status == 403:
        title = _("This is not yours")
        text = _("Your role does not open this page. An administrator can change that.")
    elif status == 404:
        title = _("There is nothing here")
        text = _("It may have been removed, or the address is not right.")
    elif status == 413:
        title = _("That is too large")
        text = _("Send a smaller file, or use `dialer import` on the server.")
    elif status < 500:
        title = _("That did not work")
        text = _("The page asked for something that cannot be done. Nothing was changed.")
    else:
        title = _("Something is out of order")
        text = _("It is in the log. Try again in a moment.")
    return make_response(render_template("access/refused.html", title=title, text=text), status)
