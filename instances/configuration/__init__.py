"""The wire's dotted configuration keys: one table of them, their values, and the configuration of polls."""
