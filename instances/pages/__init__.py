"""The pages about accounts and about what instances are. Views hold no rules."""
