"""The REST API about events and their delivery: what the product had (`compatible`), and `v1`."""
