"""One installation on one machine: its servers, its set-up, its checks."""
