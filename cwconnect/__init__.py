"""cwconnect: watches ConnectWise PSA and notifies programs of every change. Here stands its version, and only here."""

__version__ = "0.2.0"
