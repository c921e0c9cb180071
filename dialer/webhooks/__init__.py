"""Webhooks on their way out: which addresses may be reached, the signature, the sending."""
