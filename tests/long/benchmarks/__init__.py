"""How fast the service is, each figure beside its references in the same run: `python -m tests.long.benchmarks.ingest`.

Every contestant runs in a process of its own, against servers in theirs. Ratios within a run are what counts; absolute
figures depend on the machine.
"""
