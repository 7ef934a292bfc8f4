"""The modern REST API, under `/v1`: beyond the wire contract, and strict where that is lenient."""
