"""Which events a receiver wants: the filter read, and judged on one event. Pure: nothing here knows the database."""
