"""Card numbers, expiry dates and codes; and that none of their digits show anywhere."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dialer.domain.card import (
    Expiry,
    brand_of,
    expiry_of,
    last_four,
    lengths_of,
    luhn,
    number_complete,
    number_problem,
    postal_code_problem,
    security_code_problem,
)
from dialer.domain.payment import Brand, FieldUse, PayError, PayStep, PayTimes
from dialer.payments.conversation import AskField
from dialer.payments.entry import (
    AMOUNT_LONGEST,
    Verdict,
    amount_of,
    judge,
    one_key,
    rule_for,
)

TODAY = date(2026, 3, 15)
REQUIRED, OPTIONAL = FieldUse.REQUIRED, FieldUse.OPTIONAL


def with_check_digit(body: str) -> str:
    """A number of that beginning whose check digit fits; worked out apart from the product."""
    for last in "0123456789":
        number = body + last
        even = sum(sum(divmod(2 * int(d), 10)) for d in number[-2::-2])
        if (even + sum(int(d) for d in number[-1::-2])) % 10 == 0:
            return number
    raise AssertionError


def numbers(prefix: str, length: int) -> st.SearchStrategy[str]:
    """Valid numbers of a beginning and a length."""
    rest = length - 1 - len(prefix)
    return st.text("0123456789", min_size=rest, max_size=rest).map(
        lambda body: with_check_digit(prefix + body)
    )


@pytest.mark.parametrize(
    ("first", "brand"),
    [
        ("4", Brand.VISA), ("50", Brand.MAESTRO), ("51", Brand.MASTERCARD),
        ("55", Brand.MASTERCARD), ("56", Brand.MAESTRO), ("58", Brand.MAESTRO), ("59", None),
        ("2220", None), ("2221", Brand.MASTERCARD), ("2500", Brand.MASTERCARD),
        ("2720", Brand.MASTERCARD), ("2721", None), ("34", Brand.AMEX), ("37", Brand.AMEX),
        ("33", None), ("300", Brand.DINERS_CLUB), ("305", Brand.DINERS_CLUB), ("306", None),
        ("36", Brand.DINERS_CLUB), ("38", Brand.DINERS_CLUB), ("39", Brand.DINERS_CLUB),
        ("3527", None), ("3528", Brand.JCB), ("3589", Brand.JCB), ("3590", None),
        ("6011", Brand.DISCOVER), ("6012", None), ("643", None), ("644", Brand.DISCOVER),
        ("649", Brand.DISCOVER), ("65", Brand.DISCOVER), ("62", Brand.UNIONPAY),
        ("81", Brand.UNIONPAY), ("6304", Brand.MAESTRO), ("67", Brand.MAESTRO),
        ("1", None), ("0", None), ("9", None), ("", None),
        ("5", None), ("222", None), ("3", None), ("601", None),  # too few to tell
    ],
)  # fmt: skip
def test_the_first_digits_tell_the_brand(first: str, brand: Brand | None) -> None:
    assert brand_of(first.encode()) is brand
    if brand is not None:
        assert brand_of(bytearray(first.encode() + b"000000000000")) is brand


@pytest.mark.parametrize(
    "number",
    ["4242424242424242", "4222222222222", "5555555555554444", "2223003122003222",
     "378282246310005", "36227206271667", "3056930009020004", "3566002020360505",
     "6011111111111117", "6200000000000005", "6759649826438453", "4000000000000000006"],
)  # fmt: skip
def test_the_schemes_own_test_numbers_are_right(number: str) -> None:
    assert number_problem(bytearray(number.encode()), list(Brand)) is None


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        ("4242424242424241", PayError.INVALID_CARD_NUMBER),
        ("424242424242", PayError.INVALID_CARD_NUMBER),
        ("", PayError.INVALID_CARD_NUMBER),
        ("0", PayError.INVALID_CARD_NUMBER),
        (with_check_digit("42424242424242"), PayError.INVALID_CARD_NUMBER),  # 15 digits of Visa
        (with_check_digit("5" * 12), PayError.INVALID_CARD_NUMBER),  # 13 of Mastercard
        (with_check_digit("37828224631000"), None),
        (with_check_digit("3" * 15), PayError.INVALID_CARD_TYPE),  # of no brand we know
        ("36227206271667", PayError.INVALID_CARD_TYPE),  # not taken here
        ("36227206271668", PayError.INVALID_CARD_NUMBER),  # wrong comes before not taken
        ("42424242424242424242", PayError.INVALID_CARD_NUMBER),
    ],
)
def test_what_is_wrong_with_a_number(number: str, problem: PayError | None) -> None:
    assert number_problem(number.encode(), (Brand.VISA, Brand.AMEX)) is problem


PREFIXES = {
    Brand.VISA: "4", Brand.MASTERCARD: "53", Brand.AMEX: "34", Brand.MAESTRO: "67",
    Brand.DISCOVER: "6011", Brand.JCB: "3530", Brand.DINERS_CLUB: "36", Brand.UNIONPAY: "62",
}  # fmt: skip


@given(st.data(), st.sampled_from(Brand), st.integers(13, 19))
def test_a_number_is_right_only_at_the_lengths_of_its_brand(
    data: st.DataObject, brand: Brand, length: int
) -> None:
    number = data.draw(numbers(PREFIXES[brand], length)).encode()
    right = number_problem(number, list(Brand)) is None
    assert right == (length in lengths_of(brand))


@given(numbers("4", 16), st.integers(0, 15), st.integers(1, 9))
def test_luhn_finds_every_single_wrong_digit(number: str, place: int, more: int) -> None:
    digits = bytearray(number.encode())
    assert luhn(digits)
    digits[place] = (digits[place] - 48 + more) % 10 + 48
    assert not luhn(digits)


@given(numbers("51", 16), st.integers(0, 14))
def test_luhn_finds_neighbours_swapped(number: str, place: int) -> None:
    one, other = number[place], number[place + 1]
    assume(one != other and {one, other} != {"0", "9"})  # the one swap the scheme cannot see
    swapped = number[:place] + other + one + number[place + 2 :]
    assert not luhn(swapped.encode())


@pytest.mark.parametrize(
    ("number", "ends_at"),
    [
        ("378282246310005", 15), ("341111111111111", 15), ("36227206271667", 14),
        ("5555555555554444", 16), ("2223003122003222", 16), ("4242424242424242", 16),
    ],
)  # fmt: skip
def test_entry_ends_by_itself_at_the_length_of_the_brand(number: str, ends_at: int) -> None:
    ended = [n for n in range(1, len(number) + 1) if number_complete(number[:n].encode())]
    assert ended == [ends_at]


def test_a_visa_of_nineteen_digits_is_not_cut_at_sixteen() -> None:
    number = "4000000000000000006"
    assert not luhn(number[:16].encode())
    assert [n for n in range(1, 20) if number_complete(number[:n].encode())] == [19]


@given(st.text("0123456789", min_size=19, max_size=19))
def test_every_entry_ends_at_nineteen_at_the_latest(digits: str) -> None:
    assert number_complete(digits.encode())


@pytest.mark.parametrize("prefix", ["6011", "3530", "67", "62", "300", "99"])
def test_other_brands_wait_for_the_hash(prefix: str) -> None:
    number = with_check_digit(prefix + "0" * (15 - len(prefix))).encode()
    rule = rule_for(PayStep.CARD_NUMBER)
    assert rule(number, number[-1]) is Verdict.MORE
    assert rule(number, ord("#")) is Verdict.DONE


# --- the expiry -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keyed", "found"),
    [
        ("0928", (9, 2028)), ("928", (9, 2028)), ("1228", (12, 2028)), ("128", (1, 2028)),
        ("0326", (3, 2026)), ("0226", None), ("326", (3, 2026)), ("226", None),
        ("0346", (3, 2046)), ("0446", None), ("1246", None), ("0025", None), ("0028", None),
        ("1328", None), ("9928", None), ("028", None), ("28", None), ("", None), ("09281", None),
        ("1225", None), ("0399", None), ("914", None), ("09*8", None),
    ],
)  # fmt: skip
def test_expiry_dates(keyed: str, found: tuple[int, int] | None) -> None:
    expected = PayError.INVALID_DATE if found is None else Expiry(*found)
    assert expiry_of(bytearray(keyed.encode()), TODAY) == expected


@pytest.mark.parametrize(
    ("now", "zone", "good"),
    [
        # 23:30 in Madrid on the last day; in UTC it is 22:30.
        (datetime(2026, 3, 31, 21, 30, tzinfo=UTC), "Europe/Madrid", True),
        (datetime(2026, 3, 31, 22, 30, tzinfo=UTC), "Europe/Madrid", False),
        # In Mexico it is still March while Madrid and UTC have April.
        (datetime(2026, 4, 1, 5, 59, tzinfo=UTC), "America/Mexico_City", True),
        (datetime(2026, 4, 1, 6, 0, tzinfo=UTC), "America/Mexico_City", False),
        (datetime(2026, 3, 1, 0, 0, tzinfo=UTC), "America/Lima", True),
    ],
)
def test_a_card_is_good_to_the_last_day_of_its_month_where_the_debtor_is(
    now: datetime, zone: str, good: bool
) -> None:
    today = now.astimezone(ZoneInfo(zone)).date()
    assert (expiry_of(b"0326", today) == Expiry(3, 2026)) is good


@pytest.mark.parametrize(
    ("today", "keyed", "year"),
    [
        (date(2024, 2, 29), "0224", 2024), (date(2025, 12, 31), "1225", 2025),
        (date(2026, 1, 1), "0126", 2026), (date(2095, 6, 1), "0105", 2105),
        (date(2099, 12, 31), "0100", 2100),
    ],
)  # fmt: skip
def test_years_of_two_digits(today: date, keyed: str, year: int) -> None:
    found = expiry_of(keyed.encode(), today)
    assert isinstance(found, Expiry)
    assert found.year == year


@pytest.mark.parametrize("today", [date(2026, 1, 1), date(2100, 1, 1)])
def test_last_december_is_past_on_new_years_day(today: date) -> None:
    assert expiry_of(f"12{(today.year - 1) % 100:02}".encode(), today) is PayError.INVALID_DATE


@given(st.dates(date(2020, 1, 1), date(2150, 1, 1)), st.integers(1, 12), st.integers(0, 20))
def test_whatever_is_not_past_and_not_far_is_good(today: date, month: int, ahead: int) -> None:
    year = today.year + ahead
    keyed = f"{month:02}{year % 100:02}".encode()
    good = (today.year, today.month) <= (year, month) <= (today.year + 20, today.month)
    assert expiry_of(keyed, today) == (Expiry(month, year) if good else PayError.INVALID_DATE)


# --- the other fields -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("digits", "brand", "use", "right"),
    [
        ("123", Brand.VISA, REQUIRED, True), ("1234", Brand.VISA, REQUIRED, False),
        ("12", Brand.VISA, REQUIRED, False), ("1234", Brand.AMEX, REQUIRED, True),
        ("123", Brand.AMEX, REQUIRED, False), ("", Brand.VISA, REQUIRED, False),
        ("", Brand.VISA, OPTIONAL, True), ("1", Brand.VISA, OPTIONAL, False),
        ("000", None, REQUIRED, True),
    ],
)  # fmt: skip
def test_security_codes(digits: str, brand: Brand | None, use: FieldUse, right: bool) -> None:
    found = security_code_problem(bytearray(digits.encode()), brand, use)
    assert found is (None if right else PayError.INVALID_SECURITY_CODE)


@pytest.mark.parametrize(
    ("digits", "use", "right"),
    [
        ("28013", REQUIRED, True), ("12", REQUIRED, False), ("", REQUIRED, False),
        ("", OPTIONAL, True), ("1234567890", REQUIRED, True), ("12345678901", REQUIRED, False),
    ],
)  # fmt: skip
def test_postal_codes(digits: str, use: FieldUse, right: bool) -> None:
    found = postal_code_problem(digits.encode(), use)
    assert found is (None if right else PayError.INVALID_POSTAL_CODE)


def _ends_at(step: PayStep, keys: str, brand: Brand | None = None) -> int | None:
    digits, rule = bytearray(), rule_for(step, brand)
    for place, key in enumerate(keys.encode(), start=1):
        if key != ord("#"):
            digits.append(key)
        if rule(digits, key) is Verdict.DONE:
            return place
    return None


@pytest.mark.parametrize(
    ("step", "brand", "keys", "at"),
    [
        (PayStep.EXPIRATION_DATE, None, "09289", 4), (PayStep.EXPIRATION_DATE, None, "928", None),
        (PayStep.EXPIRATION_DATE, None, "928#", 4), (PayStep.SECURITY_CODE, Brand.VISA, "1234", 3),
        (PayStep.SECURITY_CODE, Brand.AMEX, "12345", 4), (PayStep.SECURITY_CODE, None, "#", 1),
        (PayStep.POSTAL_CODE, None, "28013", None), (PayStep.POSTAL_CODE, None, "28013#", 6),
        (PayStep.POSTAL_CODE, None, "12345678901", 10), (PayStep.AMOUNT, None, "150", None),
        (PayStep.AMOUNT, None, "150#", 4), (PayStep.AMOUNT, None, "1" * 12, AMOUNT_LONGEST + 1),
        (PayStep.CONFIRM, None, "12", 1), (PayStep.AGREE, None, "#", 1),
        (PayStep.CARD_NUMBER, None, "4222222222222#", 14), (PayStep.CARD_NUMBER, None, "#", 1),
    ],
)  # fmt: skip
def test_when_a_field_is_complete(
    step: PayStep, brand: Brand | None, keys: str, at: int | None
) -> None:
    assert _ends_at(step, keys, brand) == at


@pytest.mark.parametrize("step", list(PayStep))
@given(digits=st.text("0123456789", max_size=19))
def test_a_star_starts_anew_in_every_field(step: PayStep, digits: str) -> None:
    assert rule_for(step)(digits.encode(), ord("*")) is Verdict.AGAIN
    assert one_key()(digits.encode(), ord("*")) is Verdict.AGAIN


@pytest.mark.parametrize(
    ("digits", "major"),
    [("150", 150), ("0", 0), ("", None), ("007", 7), ("9" * 9, 999_999_999), ("9" * 10, None)],
)
def test_amounts(digits: str, major: int | None) -> None:
    assert amount_of(bytearray(digits.encode())) == major


# --- nothing shows ----------------------------------------------------------------------------

FIELDS = (
    PayStep.CARD_NUMBER, PayStep.EXPIRATION_DATE, PayStep.SECURITY_CODE, PayStep.POSTAL_CODE,
)  # fmt: skip


@given(st.sampled_from(FIELDS), st.text("0123456789", max_size=19), st.sampled_from(Brand))
def test_a_verdict_shows_nothing_but_the_last_four_of_a_right_number(
    step: PayStep, digits: str, brand: Brand
) -> None:
    asked = AskField(step, PayTimes(1, 1), brand)
    verdict = judge(asked, bytearray(digits.encode()), list(Brand), TODAY)
    shown = "".join(c for c in repr(verdict) if c.isdigit())
    right = step is PayStep.CARD_NUMBER and verdict.problem is None
    assert shown == (digits[-4:] if right else "")
    assert verdict.last_four == (digits[-4:] if right else None)


def test_an_expiry_shows_nothing() -> None:
    found = expiry_of(b"0928", TODAY)
    assert repr(found) == "Expiry(<hidden>)"
    assert not any(c.isdigit() for c in str(found))


@pytest.mark.parametrize("step", [step for step in PayStep if step not in FIELDS])
def test_a_step_that_is_no_field_is_refused_without_the_digits(step: PayStep) -> None:
    with pytest.raises(ValueError, match="no field of a card") as caught:
        judge(AskField(step, PayTimes(1, 1)), b"4242424242424242", list(Brand), TODAY)
    assert not any(c.isdigit() for c in str(caught.value))


def test_of_a_short_number_no_last_four_are_told() -> None:
    assert last_four(b"424242424242") == ""
    assert last_four(b"4242424242424242") == "4242"


def test_the_digits_are_left_as_they_were() -> None:
    """Who judges a field neither changes nor keeps what it was given."""
    chance = random.Random(7)
    for _ in range(50):
        digits = bytearray(chance.choices(range(48, 58), k=chance.randint(0, 19)))
        before = bytes(digits)
        for step in FIELDS:
            judge(AskField(step, PayTimes(1, 1)), digits, list(Brand), TODAY)
        assert digits == before
