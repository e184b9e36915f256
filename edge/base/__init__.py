"""The ground floor: errors, paths, locks, archives, downloads, text files; everybody may import it."""
