"""Whether a card may be taken now: nothing in Asterisk may write keys down, nothing records.

    guard = Guard(settings)
    reasons = guard.check()          # empty: safe
    guard.mute(agi_channel)          # raises MuteFailed: take no card

Traces of AGI, RTP and single channels cannot be asked for. So no console may switch them on
(``cli_permissions.conf``), no other AMI user may either, ``check`` makes sure of both, and it
switches them off besides. A question that Asterisk does not answer is a reason.
"""

from __future__ import annotations

from collections.abc import Callable

from dialer.config import Settings
from dialer.logs import get_logger
from dialer.switch import dangers, names
from dialer.switch.ami_client import AmiClient, AmiFailed
from dialer.switch.render import DENIED_COMMANDS

log = get_logger(__name__)

ANSWER_SECONDS = 2.0

_OFF = {
    "agi set debug off": "AGI Debugging Disabled",
    "rtp set debug off": "RTP Packet Debugging Disabled",
    "core set debug channel all off": "Debugging on new channels is disabled",
    "core set debug category off": "",
}
"""Commands that switch off what cannot be asked for, and what Asterisk says then."""
_QUESTIONS: dict[str, Callable[[str], list[str]]] = {
    "logger show channels": dangers.log_channels,
    "core show settings": dangers.core_settings,
    "cli show permissions": lambda told: dangers.console_permissions(told, DENIED_COMMANDS),
    "manager show settings": dangers.ami_settings,
    "manager show connected": dangers.ami_sessions,
    "cel show status": dangers.call_event_log,
    "dialplan show": dangers.dialplan,
    "core show channels concise": dangers.spies,
}


class MuteFailed(Exception):
    """It is not certain that no recording of the channel hears keys; the message says why."""


class Guard:
    """Asks the product's Asterisk, as the payment process's own AMI user. Safe for threads."""

    def __init__(self, settings: Settings) -> None:
        """Connects with the first question."""
        self._settings = settings
        self._ami = AmiClient(
            host=settings.switch_host,
            port=settings.ami_port,
            user=settings.payments_ami_user,
            secret=settings.secret(names.SECRET_PAYMENTS_AMI),
        )

    def check(self) -> list[str]:
        """Why no card may be taken now; empty: it is safe. Takes some milliseconds."""
        reasons = []
        host = self._settings.agi_host
        if not dangers.is_loopback(host):
            reasons.append(f"keys would go to {host} unencrypted (FastAGI): DIALER_AGI_HOST")
        try:
            for command, said in _OFF.items():
                if said not in self._ami.console(command, ANSWER_SECONDS):
                    reasons.append(f"Asterisk does not confirm `{command}`")
            for command, judge in _QUESTIONS.items():
                reasons += judge(self._ami.console(command, ANSWER_SECONDS))
            loaded = self._ami.console("module show", ANSWER_SECONDS)
            reasons += dangers.modules(loaded, agents=self._settings.agents)
            reasons += self._users()
        except (AmiFailed, ValueError) as error:
            reasons.append(f"Asterisk cannot be asked: {error}")
        if reasons:
            log.error("no card may be taken", reasons=reasons)
        return reasons

    def _users(self) -> list[str]:
        reasons = []
        for name in dangers.ami_users(self._ami.console("manager show users", ANSWER_SECONDS)):
            told = self._ami.console(f"manager show user {name}", ANSWER_SECONDS)
            ours = name == self._settings.payments_ami_user
            reasons += dangers.ami_user(name, told, ours=ours)
        return reasons

    # --- recordings -----------------------------------------------------------------------

    def mute(self, channel: str) -> int:
        """Mute every recording of a channel in both directions; how many there are.

        ``channel``: its name (``agi_channel``). Raises MuteFailed unless it is certain, and for a
        channel that is in company: what is keyed in there others hear.
        """
        count = self._set_mute(channel, muted=True)
        try:
            told = self._ami.console("core show channels concise", ANSWER_SECONDS)
            company = dangers.in_company(channel, told)
        except (AmiFailed, ValueError) as error:
            raise MuteFailed(f"who hears the channel cannot be told: {error}") from error
        if company:
            raise MuteFailed(company)
        return count

    def unmute(self, channel: str) -> int:
        """Let the recordings go on. Raises MuteFailed."""
        return self._set_mute(channel, muted=False)

    def close(self) -> None:
        """Leave AMI."""
        self._ami.close()

    def _set_mute(self, channel: str, *, muted: bool) -> int:
        try:
            recordings = self._recordings(channel)
            for recording in recordings:
                self._ami.ask(
                    {
                        "Action": "MixMonitorMute",
                        "Channel": channel,
                        "Direction": "both",
                        "State": "1" if muted else "0",
                        "MixMonitorID": recording,
                    },
                    ANSWER_SECONDS,
                )
            if muted and set(self._recordings(channel)) - set(recordings):
                raise MuteFailed("another recording of the channel has begun meanwhile")
        except AmiFailed as error:
            raise MuteFailed(f"recordings could not be muted: {error}") from error
        return len(recordings)

    def _recordings(self, channel: str) -> list[str]:
        """The ids of the channel's MixMonitors. Raises AmiFailed, MuteFailed."""
        told = self._ami.console(f"mixmonitor list {channel}", ANSWER_SECONDS)
        found = dangers.recordings(told)
        if found is None:
            # Never taken for "there is none": the channel may be gone, or another answer may come.
            raise MuteFailed("Asterisk does not list the recordings of the channel")
        return found
