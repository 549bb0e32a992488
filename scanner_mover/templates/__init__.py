"""The query texts that `dump2dcm` turns into query files."""
