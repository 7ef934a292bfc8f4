"""The service under fire: real processes, killed, frozen and cut off at random, then counted.

`python -m tests.long.faults --minutes 60` runs bursts of ten faults within 45 seconds, each followed by two minutes of
quiet, and at the end compares the source, the event log and what the receiver took. `test_faults.py` is the short
version.
"""
