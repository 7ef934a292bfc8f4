"""Polls: one run from window to commit, idle ones ended together, and windows polled again."""
