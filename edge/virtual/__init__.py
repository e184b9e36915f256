"""The emulated board and its root file system."""
