"""The only folder that knows that DCMTK's binaries exist: one module for each, and `tool`, which runs any of them."""
