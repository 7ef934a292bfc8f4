"""The pages about what changed and who was told. Views hold no rules: they ask, and call what decides."""
