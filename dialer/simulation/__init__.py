"""Doubles of the outside world: the telephone network, Twilio, lists of made-up debtors."""
