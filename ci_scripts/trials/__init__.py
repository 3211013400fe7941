"""Fresh gates without the change and with it: whether what failed belongs to the change."""
