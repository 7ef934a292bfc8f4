"""What is shown: reads of the log for pages, metrics and the compatible API. Nothing here writes but the counters."""
