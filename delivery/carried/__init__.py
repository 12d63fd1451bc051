"""Programs that are copied into bundles; they need nothing of this project."""
