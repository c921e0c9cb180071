"""Who comes in: log-in, sessions, what each role may do."""
