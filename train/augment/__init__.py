"""Changes to pictures: light, weather, lens, geometry, scene."""
