"""Who is notified: events → notifications → attempts under leases, with retries, breakers, pauses and replays."""
