"""What the tests need around the program: test images, scanners real and scripted, and the site's receiver.

Everything here runs on loopback with ports of its own, writes only below the folder that a test hands in,
and ends what it started.

| module | what it gives |
|---|---|
| `ports` | free ports, and waiting until somebody listens |
| `process` | a server process that ends with the test |
| `objects` | images and MPPS files |
| `dcmqrscp`, `orthanc` | the two real scanners, one interface |
| `scripted` | a scanner that answers what the test says, for what neither real one does |
| `script` | what it can be told to do; `answering` and `courier` are its two halves, C-FIND and C-STORE |
| `clock` | a wall clock that a test sets while the mover runs |
| `hooks`, `receiving`, `checks`, `state_files` | what tests of one subject, in unit/ and in integration/, begin with |
| `receiver` | the site's storage SCP and the daemon behind it, that links what arrives |
"""
