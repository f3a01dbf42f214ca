"""`python -m solo_app`: the command line, see ``cli/main.py``."""

from solo_app.cli.main import main

if __name__ == "__main__":
    main()
