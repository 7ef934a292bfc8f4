"""Alerts to the operator, as rows: raised in the transaction that found the reason, sent by the site."""
