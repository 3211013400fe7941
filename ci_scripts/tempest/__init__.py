"""Running Tempest: which tests, on which worker, into one stream."""
