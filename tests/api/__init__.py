"""The HTTP side over real sockets, on the real services and the vendors' simulators."""
