"""The database: tables, migrations and the queries that change state."""
