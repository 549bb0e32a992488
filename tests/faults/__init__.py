"""The fault laboratory: everything that a scanner, a network or a machine can do to a pass, and what must hold then.

`pytest tests/faults` runs it in a size that fits CI, `--full` whole. Each scenario checks the invariants of
`tests/integration/invariants.py` after every pass; a table of the scenarios ends the run.
"""
