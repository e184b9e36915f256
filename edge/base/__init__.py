"""The ground floor: errors, findings, paths, locks, archives, downloads, text files; everybody may import it."""
