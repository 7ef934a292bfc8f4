"""An instance's subscriptions: how they are read, made, changed and deleted, and how they stand."""
