"""Ways to a board: local, ssh, adb, and the host keys that ssh trusts."""
