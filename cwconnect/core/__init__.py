"""What everything stands on: errors, logs, the environment, text, time, processes. Knows neither app."""
