"""Decisions as pure functions of values: standard library only, time and chance as arguments."""
