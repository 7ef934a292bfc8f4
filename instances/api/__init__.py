"""The REST API about instances. Views hold no rules: they read, call what decides, and answer."""
