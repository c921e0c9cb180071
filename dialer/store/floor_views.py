"""What the IVR reads of the floor: whether anybody works who could be waited for. Nothing here
writes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from dialer.domain.model import AgentState
from dialer.store.tables import agent, agent_session


def at_work(
    connection: Connection, node: str, company_id: int, skill: str, beaten_since: datetime
) -> int:
    """How many agents of a company have a desk at this node, with the skill ("": any), whose last
    heartbeat is not older than ``beaten_since``. Those in a pause count: they come back."""
    rows = connection.execute(
        select(agent.c.id, agent.c.skills)
        .join(agent_session, agent_session.c.agent_id == agent.c.id)
        .where(
            agent.c.company_id == company_id,
            agent.c.active,
            agent_session.c.node == node,
            agent_session.c.ended_at.is_(None),
            agent_session.c.state != AgentState.LOGGED_OUT.value,
            agent_session.c.heartbeat_at >= beaten_since,
        )
    )
    return sum(1 for row in rows if not skill or skill in row.skills)
