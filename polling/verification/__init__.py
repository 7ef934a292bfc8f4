"""Verification: ConnectWise compared with what was recorded and delivered, and the repair of what is missing."""
