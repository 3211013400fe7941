"""A project's unit tests with the vendor's driver in place: their environment, their workers, the run around them."""
