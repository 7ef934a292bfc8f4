"""What keeps work going: what is due, leases, wake-up calls, signs of life, and the supervisor of the cluster."""
