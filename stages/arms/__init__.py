"""What the control arms show: audio gain, consistency, liking for places."""
