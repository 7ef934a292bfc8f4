"""Attacks of every kind, and that none gets in."""
