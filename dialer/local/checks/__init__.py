"""The checks of an installation, by what they look at; ``dialer.local.doctor`` runs them."""
