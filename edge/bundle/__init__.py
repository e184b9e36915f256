"""What goes into a bundle: toolchain, model zoo made ready, manifest, and the bundle itself."""
