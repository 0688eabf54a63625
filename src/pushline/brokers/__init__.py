"""What carries Commands to the other nodes."""
