"""What the documentation shows has to be true."""
