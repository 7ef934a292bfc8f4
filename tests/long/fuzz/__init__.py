"""Everything that reads bytes from outside, fed with rubbish.

`targets.py` has one function for each such reader: it may refuse its input by the errors that it documents, and by no
other. `test_fuzz.py` feeds them by hypothesis in the suite; `python -m tests.long.fuzz` by a fuzzer that follows the
code's branches, for as long as wanted. `test_bounds.py` holds time and memory within bounds on inputs made to
exhaust them.
"""
