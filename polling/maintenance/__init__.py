"""What keeps the tables in shape: retention, purging deleted instances, times written by a wrong clock."""
