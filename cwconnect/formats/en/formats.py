"""How the admin writes times, to the second and in the order of a log: attempts and runs are seconds apart."""

DATETIME_FORMAT = "Y-m-d H:i:s"
