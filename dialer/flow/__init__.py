"""The keypad flows: their language, their interpreter, the proofs about them, their words.

Pure: no telephony and no database. What Asterisk does with it is in ``agi_scripts``.
"""
