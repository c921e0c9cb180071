"""The running dialer: claims, places, listens, concludes. See docs/architecture.md."""
