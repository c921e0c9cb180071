"""The command line, one module a group; ``dialer.cli`` puts it together."""
