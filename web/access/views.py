"""Log-in, log-out, the one-time link, and one's own account."""

from __future__ import annotations

from datetime import UTC, datetime

import pyotp
import segno
from flask import (
    Blueprint,
    Response,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from redis import Redis
from sqlalchemy import Connection, Engine
from werkzeug.exceptions import Forbidden
from werkzeug.wrappers import Response as AnyResponse

from dialer.config import Settings
from dialer.domain.access import PASSWORD_SHORTEST, Role, password_fault
from dialer.store import audit, log_ins, users
from dialer.store.companies import NotPossible
from dialer.store.refusals import WhyNobody
from web.access import attempts
from web.access.doors import SESSION_KEY, viewer
from web.access.openid import Provider
from web.access.provider import provider_routes
from web.access.rules import allow, public
from web.ui import frame
from web.ui.said import error_text
from web.ui.words import LANGUAGES, NAMES, language
from web.ui.words import gettext as _

ANYBODY = frozenset(Role)
_PENDING_TOTP = "totp"


def access(settings: Settings, engine: Engine, redis: Redis) -> Blueprint:
    """The blueprint. Raises ConfigError where the OpenID provider has no secret."""
    blueprint = Blueprint("access", __name__)
    provider = Provider(settings, redis) if settings.oidc_issuer else None
    told = {
        "openid_name": provider.name if provider else "", "local_log_in": settings.local_log_in,
    }  # fmt: skip
    blueprint.record(lambda state: state.app.jinja_env.globals.update(told))
    _log_in_routes(blueprint, engine, redis, settings)
    if provider is not None:
        provider_routes(blueprint, provider, engine, redis, come_in)
    _link_routes(blueprint, engine, settings)
    _account_routes(blueprint, engine)
    _second_factor_routes(blueprint, engine)
    return blueprint


def _log_in_routes(blueprint: Blueprint, engine: Engine, redis: Redis, settings: Settings) -> None:
    @blueprint.get("/")
    @allow(ANYBODY)
    def start() -> AnyResponse:
        return redirect(frame.home())

    @blueprint.get("/log-in")
    @public("where one comes in")
    def log_in() -> str | AnyResponse:
        return render_template("access/log_in.html", fault=None, email="")

    @blueprint.post("/log-in")
    @public("where one comes in")
    def log_in_now() -> Response | AnyResponse:
        if not settings.local_log_in:
            raise Forbidden
        now = datetime.now(UTC)
        email = request.form.get("email", "")[:254]
        if not attempts.may_try(redis, request.remote_addr or "", now):
            page = render_template("access/log_in.html", fault="many", email=email)
            return make_response(page, 429, {"Retry-After": "60"})
        found = log_ins.log_in(
            engine, email, request.form.get("password", "")[:1000],
            request.form.get("code", "")[:10], now,
        )  # fmt: skip
        if found.user_id is None:
            page = render_template(
                "access/log_in.html",
                fault=found.fault,
                email=email,
                until=found.until,
                asked=bool(request.form.get("code")),
            )
            return make_response(page, 401)
        return come_in(engine, found.user_id, now, request.args.get("next"))

    @blueprint.post("/log-out")
    @allow(ANYBODY)
    def log_out() -> AnyResponse:
        token = session.get(SESSION_KEY)
        if token:
            with engine.begin() as connection:
                log_ins.end_web_session(connection, token, datetime.now(UTC))
        session.clear()
        return redirect(url_for("access.log_in"))


def come_in(
    engine: Engine, user_id: int, now: datetime, target: str | None, by: str | None = None
) -> AnyResponse:
    """A session for somebody who has shown who they are; ``by``: where not by a password."""
    with engine.begin() as connection:
        token = log_ins.open_web_session(
            connection, user_id, request.headers.get("User-Agent", ""), now
        )
        audit.record(
            connection, actor=f"user:{user_id}", action="user.log_in", target=f"user:{user_id}",
            now=now, after=None if by is None else {"by": by},
        )  # fmt: skip
    session.clear()  # nothing of before, the form token included, is known to anybody else now
    session.permanent = True
    session[SESSION_KEY] = token
    return redirect(_within(target) or url_for("access.start"))


def _within(target: str | None) -> str | None:
    """A path of ours, and nothing that leads elsewhere."""
    if target and target.startswith("/") and not target.startswith(("//", "/\\")):
        return target
    return None


def _link_routes(blueprint: Blueprint, engine: Engine, settings: Settings) -> None:
    def asked(token: str) -> users.User | None:
        if not settings.local_log_in:
            return None  # a password would be of no use
        with engine.connect().execution_options(dialer_readonly=True) as connection:
            return users.link_user(connection, token, datetime.now(UTC))

    @blueprint.get("/welcome/<token>")
    @public("the link itself is the key, once")
    def welcome(token: str) -> Response:
        user = asked(token)
        page = render_template(
            "access/welcome.html", user=user, fault=None, shortest=PASSWORD_SHORTEST
        )
        return make_response(page, 200 if user else 404)

    @blueprint.post("/welcome/<token>")
    @public("the link itself is the key, once")
    def choose(token: str) -> Response | AnyResponse:
        user = asked(token)
        fault: str | None = "link"
        if user is not None:
            password = request.form.get("password", "")
            fault = password_fault(password, user.email, user.name)
            if fault is None and password != request.form.get("again", ""):
                fault = "differ"
            if fault is None:
                kept = users.hash_password(password)
                now = datetime.now(UTC)
                try:
                    with engine.begin() as connection:
                        users.use_link(connection, token, kept, now)
                        _speak(connection, user, now)
                except NotPossible:
                    user, fault = None, "link"
                else:
                    return come_in(engine, user.id, now, None)
        page = render_template(
            "access/welcome.html", user=user, fault=fault, shortest=PASSWORD_SHORTEST
        )
        return make_response(page, 422 if user else 404)


def _speak(connection: Connection, user: users.User, now: datetime) -> None:
    """Nobody has chosen a language for the first administrator: it is that of the page on which
    they choose their password. Everybody else's is said when they are added."""
    first = user.role is Role.ADMINISTRATOR and user.company_id is None and not user.has_password
    if not first or user.language == language():
        return
    users.update_user(connection, user.id, {"language": language()}, f"user:{user.id}", now)


def _account_routes(blueprint: Blueprint, engine: Engine) -> None:
    @blueprint.get("/account")
    @allow(ANYBODY)
    def account() -> str:
        who = viewer()
        now = datetime.now(UTC)
        with engine.connect().execution_options(dialer_readonly=True) as connection:
            user = users.load_user(connection, who.user_id)
            rows = log_ins.open_web_sessions(connection, who.user_id, now)
            own = log_ins.session_id(session[SESSION_KEY])
        sessions = [(row, browser_name(row.browser)) for row in rows]
        return render_template(
            "access/account.html", user=user, sessions=sessions, own=own, languages=NAMES
        )

    @blueprint.post("/account")
    @allow(ANYBODY)
    def change_account() -> AnyResponse:
        who = viewer()
        changes = {
            "language": request.form.get("language", who.language),
            "timezone": request.form.get("timezone", who.timezone).strip(),
        }
        try:
            with engine.begin() as connection:
                users.update_user(
                    connection, who.user_id, changes, f"user:{who.user_id}", datetime.now(UTC)
                )
            flash(_("Saved."), "good")
        except NotPossible as error:
            flash(error_text(error), "bad")
        return redirect(url_for("access.account"))

    @blueprint.post("/account/sessions/end")
    @allow(ANYBODY)
    def end_sessions() -> AnyResponse:
        with engine.begin() as connection:
            users.end_sessions(connection, viewer().user_id, datetime.now(UTC))
        session.clear()
        return redirect(url_for("access.log_in"))

    @blueprint.post("/language/<language>")
    @public("changes nothing but the words of the log-in page")
    def choose_language(language: str) -> AnyResponse:
        if language in LANGUAGES:
            session["language"] = language
        return redirect(_within(request.form.get("next")) or url_for("access.log_in"))


def browser_name(agent: str) -> str:
    """A browser's own description, in two words that people know."""
    # The first that fits: Edge and Opera call themselves Chrome too, and that calls itself Safari.
    names = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrom", "Chrome"),
             ("HeadlessChrome", "Chrome"), ("Safari/", "Safari"))  # fmt: skip
    systems = (("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Mac OS", "macOS"),
               ("Windows", "Windows"), ("Linux", "Linux"))  # fmt: skip
    name = next((name for mark, name in names if mark in agent), agent[:40] or "–")
    system = next((name for mark, name in systems if mark in agent), "")
    return f"{name}, {system}" if system else name


def _second_factor_routes(blueprint: Blueprint, engine: Engine) -> None:
    @blueprint.get("/account/second-factor")
    @allow(ANYBODY)
    def second_factor() -> str:
        secret = session.setdefault(_PENDING_TOTP, pyotp.random_base32())
        address = pyotp.TOTP(secret).provisioning_uri(name=viewer().email, issuer_name="Dialer")
        picture = segno.make(address).svg_inline(scale=4, border=2, omitsize=True)
        return render_template("access/second_factor.html", secret=secret, picture=picture)

    @blueprint.post("/account/second-factor")
    @allow(ANYBODY)
    def switch_on() -> AnyResponse:
        secret = session.get(_PENDING_TOTP)
        try:
            if not secret:
                raise NotPossible(WhyNobody.CODE.say())
            with engine.begin() as connection:
                log_ins.set_second_factor(
                    connection, viewer().user_id, secret, request.form.get("code", ""),
                    f"user:{viewer().user_id}", datetime.now(UTC),
                )  # fmt: skip
        except NotPossible:
            flash(_("That code does not fit. Wait for the next one and try again."), "bad")
            return redirect(url_for("access.second_factor"))
        session.pop(_PENDING_TOTP, None)
        flash(_("From now on a code is asked for at log-in."), "good")
        return redirect(url_for("access.account"))

    @blueprint.post("/account/second-factor/off")
    @allow(ANYBODY)
    def switch_off() -> AnyResponse:
        who = viewer()
        found = log_ins.log_in(
            engine, who.email, request.form.get("password", ""), request.form.get("code", ""),
            datetime.now(UTC),
        )  # fmt: skip
        if found.user_id != who.user_id:
            flash(_("That is not your password and code."), "bad")
            return redirect(url_for("access.account"))
        with engine.begin() as connection:
            log_ins.set_second_factor(
                connection, who.user_id, None, "", f"user:{who.user_id}", datetime.now(UTC)
            )
        flash(_("No code is asked for any more."), "good")
        return redirect(url_for("access.account"))
