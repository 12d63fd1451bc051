"""The command line, configuration, reports and doctor of PocketNAS."""
