"""SQLite as Django's database, whose writers wait for each other by short and even steps (see base.py)."""
