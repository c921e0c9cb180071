"""What all tests share."""

pytest_plugins = [
    "fixtures_db",
    "fixtures_ivr",
    "fixtures_messaging",
    "fixtures_stack",
    "fixtures_switch",
]
