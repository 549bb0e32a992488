"""One pass over the requests, and what is known and reported of each study."""
