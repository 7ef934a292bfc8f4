"""Traces, as a collector is sent them."""
