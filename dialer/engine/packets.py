"""Whether a line makes sound at all, told from the packets that come from it."""

from __future__ import annotations

import asyncio

from dialer.switch.ami import AmiLink

CONFIRM_SECONDS = 0.2
CONFIRM_PACKETS = 4
"""Of the ten packets of 20 ms that come in that time from a line that makes sound."""


async def sends_nothing(link: AmiLink, attempt_id: str) -> bool:
    """Whether the line has fallen silent. Where packets cannot be counted, it has not: the
    detector's word stands."""
    before = await link.packets_received(attempt_id)
    await asyncio.sleep(CONFIRM_SECONDS)
    after = await link.packets_received(attempt_id)
    return before is not None and after is not None and after - before < CONFIRM_PACKETS
