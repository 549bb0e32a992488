"""`python -m scanner_mover` is `scanner-mover`."""

from scanner_mover.cli import main

if __name__ == "__main__":
    main()
