"""`pushline`, and `python -m pushline`."""

import sys


def main() -> int:
    """Run the command line; Ctrl-C ends it without a word, even where it still loads."""
    try:
        from pushline import cli

        return cli.main()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
