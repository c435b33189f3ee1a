"""What a call is, without any I/O."""
