"""``dialer attempts``: each call with all that is known of it."""

from __future__ import annotations

import click

from dialer.commands import common
from dialer.config import load_settings
from dialer.store import campaigns, reports


@click.command("attempts")
@click.option("--campaign", "name", required=True, help="Of which campaign.")
@common.json_option
def attempts(name: str, as_json: bool) -> None:
    """List the attempts of a campaign in the order they were placed.

    With --json one line for each attempt with all its fields: times in UTC with microseconds,
    keys, detection, disposition, what it follows, and the fallback steps considered after it,
    each with its refusal or what it made.

    \b
    dialer attempts --campaign june --json | jq 'select(.disposition == "promise")'
    """
    with common.reading(load_settings()) as connection:
        rows = reports.attempt_rows(connection, campaigns.find(connection, name).id)
        if as_json:
            common.write_json_lines(rows)
            return
        common.write_table(
            name,
            ("placed", "number", "caller ID", "disposition", "keys", "last prompt", "follows"),
            [
                (
                    row["placed_at"][:23].replace("T", " "),
                    row["number"],
                    row["caller_id"],
                    row["disposition"] or row["state"],
                    row["keys"],
                    row["last_prompt"],
                    (row["follows"] or "")[:8],
                )
                for row in rows
            ],
        )
