"""`python -m bench`: the benchmark of the relay."""

from bench.relay.run import main

if __name__ == "__main__":
    main()
