"""Paying by card: gateways behind one protocol, and the service that charges exactly once."""
