"""Exit codes of every command: the light part of what commands share."""

OK = 0
FAILED = 1
USAGE = 2  # asked wrongly: arguments or settings
PARTLY = 3  # done in part; what was not is said
INTERRUPTED = 130
