"""What stands above the apps: health, metrics, checks, backups, periodic jobs, alerts sent, the demo, OpenAPI."""
