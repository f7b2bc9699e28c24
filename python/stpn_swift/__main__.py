"""`python -m stpn_swift` is the command `stpn`, which needs the packages of the extra `experiments`."""

import sys


def main() -> int:
    """As `experiments.cli.main`, or a sentence where a package is missing."""
    try:
        from .experiments import cli
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == __package__:
            raise
        print(
            f"error: the experiments need the package {error.name}, which is not installed: "
            f"pip install 'stpn_swift[experiments]'",
            file=sys.stderr,
        )
        return 1
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
