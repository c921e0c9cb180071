"""What a trunk takes: channels, calls a second, and a rest when nothing gets through."""

from __future__ import annotations

from collections.abc import Mapping

from dialer.domain.pacing import CallRate
from dialer.switch.trunks import Trunk

FAULTS_BEFORE_REST = 5
LONGEST_REST = 60.0


class TrunkGate:
    """The caps of all trunks of a node. Times are monotonic seconds."""

    def __init__(self, trunks: Mapping[str, Trunk]) -> None:
        self._trunks = dict(trunks)
        self._rates = {
            name: CallRate(trunk.calls_per_second)
            for name, trunk in self._trunks.items()
            if trunk.calls_per_second is not None
        }
        self._faults: dict[str, int] = {}
        self._rest_until: dict[str, float] = {}

    def trunk(self, name: str) -> Trunk:
        """Raises KeyError for a trunk that is not configured on this node."""
        return self._trunks[name]

    def knows(self, name: str) -> bool:
        """Whether the trunk is configured."""
        return name in self._trunks

    def room(self, name: str, in_flight: int) -> int:
        """How many more calls its channel cap allows."""
        cap = self._trunks[name].max_channels
        return 1_000_000 if cap is None else max(0, cap - in_flight)

    def wait(self, name: str, now: float) -> float:
        """Seconds until an ordinary call may be placed; 0 now."""
        rest = self._rest_until.get(name, 0.0) - now
        rate = self._rates.get(name)
        if rate is None:
            return max(0.0, rest)
        self._rates[name] = rate.filled(now)
        return max(0.0, rest, self._rates[name].wait())

    def take(self, name: str, now: float) -> None:
        """A call is placed."""
        rate = self._rates.get(name)
        if rate is not None:
            self._rates[name] = rate.filled(now).taken()

    def borrow(self, name: str, now: float) -> float:
        """Take the next slot for a redial, ahead of ordinary calls; seconds until it is there."""
        rate = self._rates.get(name)
        if rate is None:
            return 0.0
        filled = rate.filled(now)
        self._rates[name] = filled.taken()
        return filled.wait()

    def result(self, name: str, got_through: bool, now: float) -> None:
        """How an attempt ended. After five in a row that never reached the network the trunk
        rests, twice as long at each further one: a dead trunk must not eat the whole list."""
        if got_through:
            self._faults[name] = 0
            return
        self._faults[name] = self._faults.get(name, 0) + 1
        beyond = self._faults[name] - FAULTS_BEFORE_REST
        if beyond >= 0:
            self._rest_until[name] = now + min(LONGEST_REST, 2.0 ** min(beyond, 6))

    def resting(self, name: str, now: float) -> bool:
        """Whether the trunk is resting now."""
        return self._rest_until.get(name, 0.0) > now
