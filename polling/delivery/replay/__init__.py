"""Replays: whole notifications sent again, in an order that keeps each record's events in theirs."""
