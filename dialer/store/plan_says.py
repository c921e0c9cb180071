"""What may be wrong with a campaign file, or is worth a look, each with its code."""

from __future__ import annotations

import re

from dialer.domain.said import Code, Said


class PlanKey(Code):
    """Keys that a form has a field for, as a file calls them."""

    NAME = "name"
    COMPANY = "company"
    FLOW = "flow"
    LANGUAGE = "language"
    POOL = "pool"
    CALLER_IDS = "caller_ids"
    CALLS_PER_SECOND = "calls_per_second"
    MAX_CONCURRENT = "max_concurrent"
    MAX_PER_DAY = "max_per_day"
    MAX_PER_WEEK = "max_per_week"
    WINDOW = "window"
    UNSEEN_DAYS = "fallback.0.redial.unseen_days"
    MODE = "agents.mode"
    HOLIDAYS = "holidays.also"


class PlanSays(Code):
    """Problems of a file and its values."""

    AT = "%(key)s: %(what)s"

    # what the shape of a value is held against; the wording is pydantic's
    NO_SUCH_KEY = "there is no such key; docs/campaigns.md lists them"
    MISSING = "is missing"
    NEVER_OR_KEYS = "write never, or keys below it: delay, growth, max_delay, max_attempts"
    AT_LEAST = "Input should be greater than or equal to %(ge)g"
    AT_MOST = "Input should be less than or equal to %(le)g"
    MORE_THAN = "Input should be greater than %(gt)g"
    LESS_THAN = "Input should be less than %(lt)g"
    WHOLE = "Input should be a valid integer, unable to parse string as an integer"
    NUMBER = "Input should be a valid number, unable to parse string as a number"
    PATTERN = "String should match pattern '%(pattern)s'"
    ONE_OF = "Input should be %(expected)s"
    NO_DATE = "Input should be a valid date in the format YYYY-MM-DD, not %(given)r"
    OTHER = "not valid: %(why)s"

    # values
    NOT_SPOKEN = "%(currency)s is none of %(known)s"
    LIKE_A_WINDOW = "write a window like 'mon-fri 09:00-21:00', not %(line)r"
    ENDS_BEFORE = "the window %(line)r ends before it begins"
    NO_TIME = "%(text)s in the window %(line)r is no time of day"
    OTHER_DAYS = "days are %(days)s; the window %(line)r has others"
    EMPTY_WINDOW = "an empty window never calls; leave the key out for the default"
    ONE_STEP = "one step is one of redial, sms, retry"
    ONE_INSTALMENT = "one instalment is the whole: write 2 to 60, or 0 for no plan"
    POOL_OR_NUMBERS = "pool and caller_ids: give one of them, not both"
    RING = "between 5 and 120 seconds; 15 is the least that is polite"
    NO_ZONE = "%(zone)r is no time zone; write it like Europe/Madrid"
    NEVER_RETRIED = "%(disposition)s is never retried on the same number"
    LIKE_A_DURATION = "write a duration like 90s, 15m, 2h or 1d, not %(given)r"
    LIKE_A_SHARE = "write a share like 3 %% or 0.03, not %(given)r"
    NO_HOLIDAYS_OF = (
        "holidays.country: no holidays are known for %(country)r; write none and list the days"
    )
    NO_REGION = "holidays.region: %(region)r is none of %(country)s's: %(known)s"

    # held against what there is
    NO_PHONE_NUMBER = "%(text)s is no phone number; write it like +34910123456"
    NO_PLAN_HAS = (
        "%(text)s is not a number of any numbering plan; a caller ID must be the company's own"
        " and one that can be called back"
    )
    SPAIN_NO_MOBILE = (
        "%(number)s is a mobile number: in Spain it may not be the caller ID of such calls since"
        " %(since)s (Orden TDF/149/2025); use a fixed or 800/900 number"
    )
    NO_NUMBERS = "caller_ids: none; list numbers here, or name a pool that has some"
    UNKNOWN = "%(key)s: there is no %(kind)s %(name)r; known: %(known)s"
    RINGS_TOO_BRIEFLY = (
        "ring_timeout: %(mine)g s is less than agents.ring_min (%(least)g s),"
        " and %(mode)s may not give up before it (16 CFR 310.4(b)(4))"
    )
    NO_STORED_PLAN = "the stored plan cannot be read: %(why)s"


class PlanWarns(Code):
    """What is allowed, and worth a look."""

    CHILE_600 = (
        "%(number)s does not begin with 600: Chile asks it of mass calls since"
        " %(since)s (SUBTEL Res. 286/2025), said to include collections"
    )
    ABROAD = "not numbers of %(country)s: %(numbers)s; many debtors do not answer"
    WIDER = "window: wider than %(usual)s (%(country)s: %(source)s)"
    MORE_CONTACTS = "%(key)s: %(mine)s is more than %(usual)s (%(country)s: %(source)s)"
    ONE_CALLER_ID = (
        "only one caller ID: a redial shows another number than the call before it, so every"
        " redial will be refused (no_caller_id); add numbers to the pool"
    )
    HOLDS_LONGER = "agents.hold: %(mine)g s is more than %(usual)g s (%(country)s: %(source)s)"
    ABANDONS_MORE = (
        "agents.max_abandoned: %(mine)s is more than %(usual)s (%(country)s: %(source)s)"
    )
    RINGS_LESS = "agents.ring_min: %(mine)g s is less than %(usual)g s (%(country)s: %(source)s)"
    LOCKS_OUT_LESS = (
        "agents.lock_out_hours: %(mine)g is less than %(usual)g (Ofcom, persistent misuse)"
    )


_ONE_OF_SEVERAL = re.compile(r"(holidays\.also|window)\.[0-9]+")
_KEYS = {one.value: one for one in PlanKey}


def key_said(key: str) -> str:
    """A key, as a sentence where a form has a field for it."""
    key = _ONE_OF_SEVERAL.sub(r"\1", key)
    return _KEYS[key].say() if key in _KEYS else key


def at(key: str, what: str) -> Said:
    """What is wrong, and where."""
    return PlanSays.AT.say(key=key_said(key), what=what)
