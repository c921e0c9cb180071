"""An Asterisk-backed dialer for collections; docs/architecture.md shows the house."""

__version__ = "0.1.0"
