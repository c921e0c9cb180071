"""Why something cannot be done, each with its code: what ``NotPossible`` is raised with."""

from __future__ import annotations

from dialer.domain.said import Code


class Why(Code):
    """Of companies, campaigns, lists, messages and what belongs to them."""

    # companies and pools
    COMPANY_TAKEN = "there is a company %(name)r already"
    LIKE_A_COUNTRY = "country: write it like ES (ISO 3166), not %(country)r"
    NO_TIMEZONE = "timezone: %(timezone)r is none; write it like Europe/Madrid"
    CALLBACK_NUMBER = "callback number: %(why)s"
    NO_COMPANY = "there is no company %(name)r; `dialer company list` shows them"
    NO_COMPANY_YET = "there is no company yet: run `dialer init` or `dialer company create`"
    WHICH_COMPANY = "there are several companies (%(names)s): say which with --company"
    POOL_TAKEN = "there is a pool %(name)r already; `dialer pool add` adds to it"
    NO_POOL = "there is no pool %(name)r; `dialer pool list` shows them"
    NOT_IN_POOL = "not in the pool: %(numbers)s"
    NO_NUMBER_LEFT = "no number would be left: a campaign without caller ID cannot call"

    # campaigns and lists
    CAMPAIGN_TAKEN = "there is a campaign %(name)r already; names are for ever"
    NO_CAMPAIGN = "there is no campaign %(name)r; `dialer campaign list` shows them"
    CAMPAIGN_OF_ANOTHER = "campaign %(campaign)s is of company %(company)s"
    CAMPAIGN_STOPPED = "campaign %(campaign)s is stopped, and that is final: make a new one"
    NO_MESSAGES = "language: %(why)s"
    NOTHING_TO_GRANT = "nothing has to be granted"
    ASKED_ALREADY = "it was asked for already"
    SAY_WHY = "say why in a sentence"

    # what is kept of debtors
    NOT_SUPPRESSED = "the number is not on the list; `dialer dnc list` shows it"
    CALLBACK_PASSED = "callback: that time has passed"
    NO_CALLBACK = "there is no callback %(id)s; `dialer callback list` shows them"
    CALLBACK_OVER = "callback %(id)s is %(state)s: nothing to cancel"

    # webhooks and keys
    WEBHOOK_TAKEN = "there is a webhook of that address already"
    MANY_WEBHOOKS = "there are %(most)s webhooks already: take one away first"
    KEY_NAME = "name: 1 to %(most)s letters"
    NO_SCOPES = "scopes: choose one at least; a token without any opens nothing"
    KEY_OVER = "expires: that is over already"
    NO_KEY = "there is no key %(id)s, or it was revoked already"


class WhyNobody(Code):
    """Of users and agents."""

    LIKE_AN_EMAIL = "email: write an address like ana@example.com, not %(email)r"
    NAME = "name: 1 to 200 letters"
    USER_TAKEN = "there is a user %(email)s already"
    NO_USER_ID = "there is no user %(id)s"
    NO_USER = "there is no user %(email)s; `dialer user list` shows them"
    UNCHANGEABLE = "this cannot be changed: %(keys)s"
    LANGUAGE = "language: %(known)s, not %(language)r"
    TIMEZONE = "timezone: a name like Europe/Madrid, not %(timezone)r"
    NEEDS_COMPANY = "company: a user with the role %(role)s belongs to one"
    NO_COMPANY_ID = "there is no company %(id)s"
    SAME_COMPANY = "agent: one of the same company"
    NEEDS_AGENT = "agent: a user with the role agent is linked to the agent they are"
    LAST_ADMINISTRATOR = "this is the last administrator of everything: make another one first"
    LINK_USED = "this link was used, or is too old: ask for a new one"
    CODE = "code"
    LIKE_A_LOGIN = "login: letters a-z, digits and . _ @ - only, at most 64, not %(login)r"
    AGENT_TAKEN = "there is an agent %(login)r already; `dialer agent set` changes them"
    NO_AGENT_ID = "there is no agent %(id)s"
    NO_AGENT = "there is no agent %(login)r; `dialer agent list` shows them"
    AGENT_AWAY = "the agent is not there, or not active: `dialer agent set --active`"
    LIKE_A_SIP = "station: write a SIP address like sip:ana@10.0.0.5:5060, not %(station)r"
    STATION = "station: browser, a SIP address or a number; %(why)s"
    LIKE = "%(key)s: write them like %(like)s, not %(wrong)s"
    WRAP = "wrap: 0 to 3600 seconds, not %(wrap)g"
