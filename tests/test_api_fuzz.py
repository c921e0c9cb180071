"""The API against what its own description lets a client send, and does not: no failure inside, and
every answer as it is described."""

from __future__ import annotations

from typing import Any, cast

import pytest
import schemathesis
from api_office import key, webhook
from console_world import campaign, past
from fixtures_site import Site
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from web.api import door

EXAMPLES = 7
"""Of each operation."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.mark.timeout(120)
@pytest.mark.database("sqlite")
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_whatever_is_sent(
    site: Site, monkeypatch: pytest.MonkeyPatch, mode: GenerationMode
) -> None:
    monkeypatch.setattr(door, "PER_MINUTE", 1_000_000)
    june = campaign(site, site.acme, "june")
    past(site, june, debtors=10, attempts=60)
    webhook(site, site.acme, "https://crm.example.com/x")
    headers = {"Authorization": f"Bearer {key(site, site.acme)}"}
    config = schemathesis.Config.from_dict({"generation": {"mode": mode.value}})
    whole = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", site.app, config=config)
    checks = [*CHECKS]
    if mode is GenerationMode.NEGATIVE:
        checks.append(negative_data_rejection)
    real = {
        "campaign_id": june, "debtor_id": 1, "endpoint_id": 1, "delivery_id": 1, "pool_id": 1,
        "approval_id": 1, "mail_id": 1, "language": "es", "template": "missed_call",
    }  # fmt: skip
    asked = 0
    done: set[str] = set()
    operations: list[Any] = [cast(Any, one).ok() for one in whole.get_all_operations()]
    # What ends things comes last.
    for one in sorted(operations, key=lambda one: one.path.endswith("/stop")):
        cases = one.as_strategy(generation_mode=mode)
        places = {name: real[name] for name in real if f"{{{name}}}" in one.path}
        if places and mode is GenerationMode.POSITIVE:
            cases |= one.as_strategy(generation_mode=mode, path_parameters=places)

        @given(case=cases)
        @settings(
            max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
            phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        def ask(case: Any) -> None:
            nonlocal asked
            asked += 1
            if case.call_and_validate(headers=headers, checks=checks).status_code < 300:
                done.add(case.operation.label)

        ask()
    assert asked > EXAMPLES * 10
    assert mode is GenerationMode.NEGATIVE or len(done) >= 40, sorted(done)
