"""The base of the plate edge kit: boards, transports, bundles and the host's reference pipeline."""

__version__ = "0.2.0"
