"""Label files made from CCPD."""
