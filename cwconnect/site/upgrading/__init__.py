"""What an upgrade will do to this database, how long it takes, and who may go on meanwhile.

`judgement`: what an operation means for processes of the version before. `wording`: what a migration does, in a
sentence. `sizes`: rows, and space. `plan`: all that is pending, with estimates. `running`: who is alive, of which
version. `guard`: the refusal of `manage.py migrate`. Nothing here changes the database.
"""
