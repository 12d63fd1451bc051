"""What can be built: architectures as values, spaces to draw them from, the published ones."""
