"""Run the command line: ``python -m mnfn_cli`` is the same as ``mnfn``."""

from mnfn_cli.cli.app import main

if __name__ == "__main__":
    main()
