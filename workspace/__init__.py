"""What every layer stands on: errors, the shared home folder, whole files, the user's own code."""
