"""One change made to many instances: the actions there are, jobs asked for, and the workers who carry them out."""
