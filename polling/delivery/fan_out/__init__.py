"""Fan-out: the event log, read for each subscription, becomes notifications (docs/architecture.md#delivery).

`looks` finds who lags, `pages` reads the log, `judged` asks the filters, `order` says what follows what and goes into
which notification, `bodies` writes their bytes, `writing` is the one transaction, `step` goes through these for what
lags, `beginnings` says from where on a subscription reads, `served` tells the recorder of events who is notified how.
"""
