"""The Debian from which the kit takes packages for boards: a virtual board's root, libjpeg-turbo for a build."""

SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
MIRROR_ENV = "PLATE_EDGE_DEBIAN_MIRROR"
"""Names another mirror."""
