"""Asterisk: its binary, its configuration, AMI in, typed call events out."""
