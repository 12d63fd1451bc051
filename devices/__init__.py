"""What can run a model file: this computer and phones over adb; knows nothing of search."""
