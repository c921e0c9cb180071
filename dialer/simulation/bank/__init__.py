"""A simulated bank with a memory of its own, spoken to through faces that look like gateways."""
