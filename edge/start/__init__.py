"""The first minutes: quickstart, doctor, versions."""
