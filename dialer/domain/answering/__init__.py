"""Which lead will answer, and roughly when: a plain, calibrated model, learned online.

One model for everybody of a company, with what is known of the lead among its features; no models
of single records, and no mixing of such with a global one. Pure: no clock, no chance.
"""

from dialer.domain.answering.features import Features
from dialer.domain.answering.model import AnswerModel
from dialer.domain.answering.segments import segment
from dialer.domain.answering.weights import BadState

__all__ = ["AnswerModel", "BadState", "Features", "segment"]
