"""Actions of AMI for agents: legs, conferences, who hears whom. Values only; ``AmiLink.perform``
sends them.

Conferences are named after the agent's session. ``channel`` is a channel's name or unique id.
"""

from __future__ import annotations

import re

from dialer.switch import names

Action = dict[str, str | list[str]]

_SIP = re.compile(r"sip:[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,120}(:[0-9]{1,5})?")


def call_leg(session: str, dial_string: str, caller_id: str, ring: float) -> Action:
    """Call an agent's telephone; it enters the session's conference when it is picked up."""
    return {
        "Action": "Originate",
        "ChannelId": names.LEG_PREFIX + session,
        "Channel": dial_string,
        "Context": names.CONTEXT_AGENT_LEG,
        "Exten": names.START,
        "Priority": "1",
        "Async": "true",
        "CallerID": f'"" <{caller_id}>',
        "Timeout": str(round(ring * 1000)),
        "Variable": [f"{names.VAR_SEAT}={session}"],
    }


def sip_dial_string(address: str) -> str:
    """``PJSIP/phones/sip:...``. Raises ValueError for what is no SIP address."""
    if not _SIP.fullmatch(address):
        raise ValueError("no SIP address")
    return f"PJSIP/{names.ENDPOINT_PHONES}/{address}"


def into_conference(channel: str, conference: str) -> Action:
    """Send a debtor to an agent."""
    return move(channel, names.CONTEXT_TALK, conference)


def move(channel: str, context: str, exten: str = names.START) -> Action:
    """Send a channel to another place of the dialplan."""
    return {
        "Action": "Redirect",
        "Channel": channel,
        "Context": context,
        "Exten": exten,
        "Priority": "1",
    }


def mute(conference: str, channel: str, *, muted: bool) -> Action:
    """Whether a member of a conference is heard in it; ``channel`` by its name."""
    return {
        "Action": "ConfbridgeMute" if muted else "ConfbridgeUnmute",
        "Conference": conference,
        "Channel": channel,
    }


def press(channel: str, key: str) -> Action:
    """A key (RFC 4733 or whatever the far end takes) to a channel's far end."""
    return {"Action": "PlayDTMF", "Channel": channel, "Digit": key, "Receive": "false"}


def set_variable(channel: str, name: str, value: str) -> Action:
    """A variable of a channel."""
    return {"Action": "Setvar", "Channel": channel, "Variable": name, "Value": value}


def record_mute(channel: str, *, muted: bool) -> Action:
    """Silence in the recording, in both directions."""
    return {
        "Action": "MixMonitorMute",
        "Channel": channel,
        "Direction": "both",
        "State": "1" if muted else "0",
    }


def coach(leg: str, attempt_id: str) -> Action:
    """The agent's leg out of the conference: heard by a debtor who keys a card in, hearing nothing
    of them. It comes back with the debtor."""
    return move(leg, names.CONTEXT_COACH, attempt_id)


def say(channel_id: str, conference: str, path: str) -> Action:
    """A file into a conference; ``path`` without its ending."""
    return {
        "Action": "Originate",
        "ChannelId": channel_id,
        "OtherChannelId": channel_id + "-2",
        "Channel": f"Local/{conference}@{names.CONTEXT_SAY}/n",
        "Context": names.CONTEXT_SAY,
        "Exten": names.START,
        "Priority": "1",
        "Async": "true",
        "Timeout": "5000",
        "Variable": [f"{names.VAR_SAY}={path}"],
    }


def call_into(
    channel_id: str, dial_string: str, caller_id: str, context: str, exten: str, ring: float = 30.0
) -> Action:
    """Call somebody else; when they pick up they enter ``context``."""
    return {
        "Action": "Originate",
        "ChannelId": channel_id,
        "Channel": dial_string,
        "Context": context,
        "Exten": exten,
        "Priority": "1",
        "Async": "true",
        "CallerID": f'"" <{caller_id}>',
        "Timeout": str(round(ring * 1000)),
    }
