"""A Linux guest as a judge of the driver: got, started, and asked."""
