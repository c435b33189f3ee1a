"""N carrier sockets relayed to N agent sockets, beside a bare relay in the same run."""
