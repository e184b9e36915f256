"""`python -m edge`: the same as the console script, for child processes that must use this interpreter."""

from edge.cli import main

if __name__ == "__main__":
    main()
