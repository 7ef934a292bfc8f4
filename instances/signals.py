"""What instances signal to the apps above them, since the arrow of imports points the other way."""

from django.dispatch import Signal

# Sent inside the transaction that created or changed an instance or its resource polls. Arguments: `instance`;
# `begun`: ids of resource polls whose watching begins (anew) with the `since` and `high_water_id` they hold, so that
# what was
# known of them is forgotten; `reset`: ids of those whose open run must be abandoned, their cursor kept.
# `first_url`: whether it has a callback URL now, and had none before, so that nobody was notified until now.
# `former`: the configuration that was in force, where the company that is connected to is another one than before.
watching_changed = Signal()

# Sent inside the transaction that deleted an instance, once it is nobody's. Argument: `instance`. A receiver that still
# has to undo something at ConnectWise gives True, and calls `provisioning.forget_login` when that is done.
instance_deleted = Signal()

# Asked by the page of an instance's settings. Argument: `instance`. A receiver that knows that ConnectWise refuses its
# login at present gives the words in which it does.
login_refused = Signal()

# Asked before a field mapping is deleted, in the transaction that has locked its instance. Arguments: `instance`,
# `name`. A receiver that knows of something that goes by it gives what that is, in words.
mapping_in_use = Signal()
