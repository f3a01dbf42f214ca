"""What one browser tab sees of the service. A state decides nothing."""
