"""How fast it is, side by side with the raw tools in one run: `.venv/bin/python -m tests.benchmarks`.

Nothing here is a test: timing decides nothing. What is checked is that both sides did the same work; if not, the
program stops with what went wrong.

| module | what it measures |
|---|---|
| `start` | a pass with nothing to do |
| `asking` | a pass over 200 requests of which everything is here |
| `growth` | the same over 10, 100 and 1,000 requests, with many MPPS files; memory; `status` |
| `retrieving` | receiving one large series, a very large one, and many small ones |
| `daemon` | `move --every` while nothing is requested |
| `day` | a simulated day: C-MOVEs for what can never come, images sent twice, lines told |

`harness` runs and times processes and makes the table, `data` makes the images and the sites, `machine` says where
it ran.
"""
