"""Databases as released versions left them, and the test that each goes on under this version.

At a release: `python -m tests.upgrades VERSION`, beside servers of one's own with CWCONNECT_DATABASE_URL set for the
second file, and commit what it writes. Files of versions released before are never made anew.
"""
