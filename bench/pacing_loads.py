"""The loads that pacers are measured in: what debtors, calls and agents of a day are like."""

from __future__ import annotations

import math
import random

from pacing_world import Kind, Load, log_normal


def sine(at: float) -> float:
    """p from 18 to 42 % and back within an hour and a half."""
    return 0.30 + 0.12 * math.sin(2.0 * math.pi * at / 5400.0)


def turns(at: float) -> float:
    """p of 20 and of 40 %, changing every 40 minutes without notice."""
    return 0.20 if int(at // 2400.0) % 2 == 0 else 0.40


def bimodal(dice: random.Random) -> float:
    """Four talks in ten are over after about 20 s, the others take about 290 s: mean 180 s."""
    if dice.random() < 0.4:
        return log_normal(dice, 20.0, 0.4)
    return log_normal(dice, 287.0, 0.4)


def no_wrap(dice: random.Random) -> float:
    return 0.0


SEGMENTS = (
    Kind("mobile", share=0.5, odds=1.6, shape=3.0, scale=3.0),
    Kind("landline", share=0.3, odds=0.9, shape=6.0, scale=2.6),
    Kind("work", share=0.2, odds=0.15, shape=4.0, scale=2.0),
)

LOADS = {
    load.name: load
    for load in (
        Load("steady"),
        Load("p=10%", p=lambda at: 0.10),
        Load("p=5%", p=lambda at: 0.05),
        Load("sine", p=sine),
        Load("turns", p=turns),
        Load("bimodal", talk=bimodal),
        Load("segments", kinds=SEGMENTS),
        Load("unnamed segments", kinds=SEGMENTS, named=False),
        Load("detection", detect=0.8, false_machine=0.02, machine=0.02),
        Load("short calls", talk=lambda dice: log_normal(dice, 60.0, 0.8), wrap=no_wrap),
        Load("long calls", talk=lambda dice: log_normal(dice, 420.0, 0.6)),
    )
}
