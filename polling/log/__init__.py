"""The event log's order: what its ids are taken from, and up to which of them it is complete. Knows no poll."""
