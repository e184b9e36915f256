"""Rendered plates: flat (`plate`), cut out as crops (`crop`), and in whole photos with CCPD names (`scene`)."""
