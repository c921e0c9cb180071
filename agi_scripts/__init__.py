"""What Asterisk calls over FastAGI: one server, one short script for each entry."""
