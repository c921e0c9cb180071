"""Messages behind one protocol: what is said, how it leaves, what the answers mean."""
