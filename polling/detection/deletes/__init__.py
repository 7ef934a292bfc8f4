"""Deletes: sweeps over all ids, rows that were not found, and when a delete is recorded or held."""
