"""Instructions of each stage, counted by a plugin of QEMU's while `plate_ocr` runs under user emulation."""
