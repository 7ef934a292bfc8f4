"""Other people's packages at the same work; each runs with an interpreter that has it installed (`--peers`)."""
