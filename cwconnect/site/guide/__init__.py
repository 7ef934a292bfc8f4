"""Guidance on the pages: the documents, the event catalogue, receivers in five languages, and where to look for what.

Nothing here is written twice: documents and receivers are those of `docs/`, samples are made by what writes and signs
notifications.
"""
