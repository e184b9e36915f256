"""Ways to a board: this host, ssh, adb; all behind `edge.transport.base.Transport`."""
