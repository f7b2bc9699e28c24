"""stpn_swift against the same networks elsewhere: `make bench`, or `python -m benchmarks --help`."""
