"""The pages about what changed and who was notified. Views hold no rules: they ask, and call what decides."""
