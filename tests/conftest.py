"""What all tests share."""

pytest_plugins = ["fixtures_db", "fixtures_messaging", "fixtures_switch"]
