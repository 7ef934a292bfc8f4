"""Who is told: events → notifications → attempts under leases, with retries, breakers, pauses and replays."""
