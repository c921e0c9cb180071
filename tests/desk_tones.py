"""Who hears whom at desks: every telephone of the network says a tone of its own, so that what each
hears tells who is there."""

from __future__ import annotations

from statistics import median

from desk_office import DeskOffice, Ear, Member
from world import World

from dialer.simulation.phones import phone_hertz
from dialer.simulation.talkers import TONE_HERTZ

AUDIBLE = 0.01
ANA, EVA, BOSS = (float(phone_hertz(user)) for user in ("agent01", "agent02", "agent03"))
DEBTOR = float(TONE_HERTZ)


def at_desk(who: Member) -> None:
    """Logged in, the line up, ready."""
    who.log_in()
    who.wait_line()
    who.ready()


def ear_of(desks: DeskOffice, user: str) -> Ear:
    """What a telephone of the network hears from now on."""
    desks.wait(f"{user} has no call", lambda: bool(desks.channels(user)), 10)
    return desks.listen(desks.channels(user)[0])


def debtor_ear(desks: DeskOffice, world: World) -> Ear:
    """The same of the debtor who was called last."""
    return ear_of(desks, desks.attempts(world)[-1].number)


def hears(desks: DeskOffice, ear: Ear, there: set[float], seconds: float = 8) -> None:
    """Until the last half second has these tones and no other of ours. A tone goes on, which the
    notes of the music on hold do not: half of the time tells them apart."""

    def now() -> set[float]:
        since = max(0.0, len(ear.heard()) / 8000 - 0.5)
        tones = {hertz: ear.tone(hertz, since) for hertz in (ANA, EVA, BOSS, DEBTOR)}
        return {hertz for hertz, levels in tones.items() if levels and median(levels) > AUDIBLE}

    try:
        desks.wait("", lambda: now() == there, seconds)
    except AssertionError:
        raise AssertionError(f"hears {sorted(now())}, not {sorted(there)}") from None


def hang_up(desks: DeskOffice, user: str) -> None:
    """A telephone of the network ends its call."""
    desks.carrier.rx(f"channel request hangup {desks.channels(user)[0]}")
