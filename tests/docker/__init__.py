"""The files of `docker/`: read as their programs read them, checked by the tools made for them, and their commands run.

Where a whole Docker is needed there is `docker/rehearse`, which is no part of the test run: it needs root.
"""
