"""The API of programs: ``/api/v1``. See docs/api.md."""
