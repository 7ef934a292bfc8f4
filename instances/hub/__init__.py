"""The hub of an instance: reads, and what lies beside them."""
