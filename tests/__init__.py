"""The tests: units mirror the package, `integration/` talks to real servers, `support/` builds the world around."""
