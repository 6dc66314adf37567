"""`python -m genmodels train model=glow`: the front doors, wherever the package can be imported."""

import importlib
import sys

from genmodels.commands import DOORS


def main() -> None:
    """Run the door that the first argument names, with the rest of the arguments."""
    door = sys.argv[1] if len(sys.argv) > 1 else ""
    if door not in DOORS:
        print(f"usage: python -m genmodels {'|'.join(DOORS)} ..., with --help after the name for more", file=sys.stderr)
        sys.exit(2)
    del sys.argv[1]
    importlib.import_module(f"genmodels.doors.{door}").main()


if __name__ == "__main__":
    main()
