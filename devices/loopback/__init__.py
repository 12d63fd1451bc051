"""Loopback phones: Google's real adbd in a box on this computer, reached over adb."""
