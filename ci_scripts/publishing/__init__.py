"""Publishing of a run's logs and reports: what is published, in which form, where, and for how long."""
