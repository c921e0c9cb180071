"""The desk: the page of an agent."""
