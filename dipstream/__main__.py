"""``python -m dipstream`` is the command line."""

from dipstream.cli import main

if __name__ == "__main__":
    main()
