"""Looks for card numbers where none may be: everywhere but with the debtor and the acquirer."""
