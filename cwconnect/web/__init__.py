"""The web server: gunicorn with a worker of ours, whose threads are given whole requests and hand over whole answers.

`worker` is what gunicorn runs, `event_loop` waits for all connections at once, `connections` are what it waits for,
`reading` collects a request under limits, `writing` keeps what a slow reader has not taken yet, `refusals` are the
answers that no view gives. Nothing here knows Django.
"""
