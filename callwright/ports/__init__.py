"""What we ask of the outside world, as Protocols that integrations and stores implement."""
