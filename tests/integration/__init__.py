"""The installed programs against real scanners and receivers, in scenarios a site knows.

`scenario` puts a site and a scanner together and makes passes; after each of them `invariants` are checked.
"""
