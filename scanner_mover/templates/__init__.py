"""The query texts that `dump2dcm` turns into query files, and the small dictionary that it needs for them."""
