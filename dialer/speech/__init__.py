"""What debtors hear: prompts rendered from texts, and analysis of what was recorded.

Sound inside this package is mono ``float64`` in -1 .. 1 (``Samples``), at 8 kHz unless a function
says otherwise. Files are what Asterisk plays without transcoding: raw A-law, raw µ-law, and a
16-bit WAV, all at 8 kHz.
"""
