"""Users: who may come in, as what, and for which company.

An administrator of one company knows the users of that company only, and makes none who would see
more than they do. Nobody takes their own role away or shuts themselves out: there is always
somebody left who can undo it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy.exc import IntegrityError
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from dialer.domain.access import ADMINISTRATORS, LINK_LIFE
from dialer.store import log_ins, users
from dialer.store.companies import NotPossible
from dialer.store.users import User
from web.access.doors import viewer
from web.access.rules import allow
from web.access.views import browser_name
from web.console.user_form import UserForm, refusal_text
from web.ui.words import gettext as _

if TYPE_CHECKING:
    from web.parts import Parts


def users_pages(parts: Parts) -> Blueprint:
    """The pages, at /users."""
    blueprint = Blueprint("users", __name__, url_prefix="/users")
    _list_and_make(blueprint, parts)
    _change(blueprint, parts)
    _let_in_and_out(blueprint, parts)
    return blueprint


def _list_and_make(blueprint: Blueprint, parts: Parts) -> None:
    @blueprint.get("")
    @allow(ADMINISTRATORS)
    def index() -> str:
        """All of them that the viewer may know."""
        with parts.readonly() as connection:
            found = users.list_users(connection, viewer().company_id)
        return render_template(
            "users/index.html", users=found, now=datetime.now(UTC), inactive=any(
                not one.active for one in found
            ),
        )  # fmt: skip

    @blueprint.get("/new")
    @allow(ADMINISTRATORS)
    def new() -> str:
        """The empty form."""
        with parts.readonly() as connection:
            form = UserForm.empty(connection, viewer())
        return render_template("users/new.html", form=form)

    @blueprint.post("")
    @allow(ADMINISTRATORS)
    def create() -> str | tuple[str, int]:
        """Make a user; the page with the link that lets them choose a password."""
        now, actor = datetime.now(UTC), _actor()
        with parts.readonly() as connection:
            form = UserForm.sent(connection, viewer(), request.form)
        if form.faults:
            return render_template("users/new.html", form=form), 422
        try:
            with parts.engine.begin() as connection:
                made = users.create_user(
                    connection, email=form.email, actor=actor, now=now,
                    **form.values(connection, actor, now),
                )  # fmt: skip
                token = users.new_link(connection, made, actor, now)
                user = users.load_user(connection, made)
        except (NotPossible, IntegrityError) as error:
            form.faults.update(refusal_text(error))
            return render_template("users/new.html", form=form), 422
        return _link_page(user, token, fresh=True)

    def _link_page(user: User | None, token: str, *, fresh: bool) -> str:
        return render_template(
            "users/link.html", user=user, fresh=fresh, hours=int(LINK_LIFE.total_seconds() // 3600),
            address=f"{parts.settings.web_url}{url_for('access.welcome', token=token)}",
        )  # fmt: skip

    @blueprint.post("/<int:user_id>/link")
    @allow(ADMINISTRATORS)
    def link(user_id: int) -> str | AnyResponse:
        """A new link to choose a password by, shown this once; those before are void."""
        user = _found(parts, user_id)
        if not user.active:
            flash(_("Let them in again first: a link of somebody shut out opens nothing."), "bad")
            return redirect(url_for(".show", user_id=user_id))
        with parts.engine.begin() as connection:
            token = users.new_link(connection, user_id, _actor(), datetime.now(UTC))
        return _link_page(user, token, fresh=False)


def _change(blueprint: Blueprint, parts: Parts) -> None:
    @blueprint.get("/<int:user_id>")
    @allow(ADMINISTRATORS)
    def show(user_id: int) -> str:
        """One of them: who they are, where they are logged in."""
        user = _found(parts, user_id)
        with parts.readonly() as connection:
            form = UserForm.of(connection, viewer(), user)
        return _page(user, form)

    def _page(user: User, form: UserForm) -> str:
        now = datetime.now(UTC)
        with parts.readonly() as connection:
            open_ = log_ins.open_web_sessions(connection, user.id, now)
        sessions = [(row, browser_name(row.browser)) for row in open_]
        return render_template(
            "users/show.html", user=user, form=form, sessions=sessions,
            own=user.id == viewer().user_id, now=now,
        )  # fmt: skip

    @blueprint.post("/<int:user_id>")
    @allow(ADMINISTRATORS)
    def change(user_id: int) -> AnyResponse | tuple[str, int]:
        """Save what was changed."""
        user, now, actor = _found(parts, user_id), datetime.now(UTC), _actor()
        with parts.readonly() as connection:
            form = UserForm.sent(connection, viewer(), request.form, user)
        if form.faults:
            return _page(user, form), 422
        try:
            with parts.engine.begin() as connection:
                told = form.values(connection, actor, now)
                changes = {key: new for key, new in told.items() if getattr(user, key) != new}
                if changes:
                    users.update_user(connection, user_id, changes, actor, now)
        except NotPossible as error:
            form.faults.update(refusal_text(error))
            return _page(user, form), 422
        flash(_("Saved."), "good")
        return redirect(url_for(".show", user_id=user_id))


def _let_in_and_out(blueprint: Blueprint, parts: Parts) -> None:
    @blueprint.post("/<int:user_id>/deactivate")
    @allow(ADMINISTRATORS)
    def deactivate(user_id: int) -> AnyResponse:
        """Shut out, at once and everywhere."""
        if user_id == viewer().user_id:
            flash(_("You cannot shut yourself out. Another administrator can."), "bad")
            return redirect(url_for(".show", user_id=user_id))
        return _set_active(user_id, active=False)

    @blueprint.post("/<int:user_id>/activate")
    @allow(ADMINISTRATORS)
    def activate(user_id: int) -> AnyResponse:
        """Let in again."""
        return _set_active(user_id, active=True)

    def _set_active(user_id: int, *, active: bool) -> AnyResponse:
        user = _found(parts, user_id)
        try:
            with parts.engine.begin() as connection:
                users.update_user(
                    connection, user_id, {"active": active}, _actor(), datetime.now(UTC)
                )
        except NotPossible as error:
            flash(next(iter(refusal_text(error).values())), "bad")
        else:
            said = (
                _("%(name)s may log in again.", name=user.name)
                if active
                else _("%(name)s is logged out and cannot come in.", name=user.name)
            )
            flash(said, "good")
        return redirect(url_for(".show", user_id=user_id))

    @blueprint.post("/<int:user_id>/sessions/end")
    @allow(ADMINISTRATORS)
    def end_sessions(user_id: int) -> AnyResponse:
        """Logged out everywhere; they may log in again."""
        user, now = _found(parts, user_id), datetime.now(UTC)
        with parts.engine.begin() as connection:
            ended = users.end_sessions(connection, user_id, now)
            users.note(connection, "user.log_out", user_id, _actor(), now, after={"ended": ended})
        flash(_("%(name)s is logged out everywhere.", name=user.name), "good")
        return redirect(url_for(".show", user_id=user_id))

    @blueprint.post("/<int:user_id>/second-factor/off")
    @allow(ADMINISTRATORS)
    def second_factor_off(user_id: int) -> AnyResponse:
        """For who has lost the telephone with it."""
        user, now = _found(parts, user_id), datetime.now(UTC)
        with parts.engine.begin() as connection:
            log_ins.set_second_factor(connection, user_id, None, "", _actor(), now)
            users.end_sessions(connection, user_id, now)
        flash(
            _("%(name)s logs in without a code until they set it up again.", name=user.name), "good"
        )
        return redirect(url_for(".show", user_id=user_id))


def _found(parts: Parts, user_id: int) -> User:
    """One that the viewer may know. Raises NotFound."""
    with parts.readonly() as connection:
        user = users.load_user(connection, user_id)
    if user is None or not viewer().sees(user.company_id):
        raise NotFound
    return user


def _actor() -> str:
    return f"user:{viewer().user_id}"
