"""The proof of a `.nb`: against its source, on photos, in child processes."""
