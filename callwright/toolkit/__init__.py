"""What every integration may use: an HTTP client with time limits and redaction, and signatures."""
