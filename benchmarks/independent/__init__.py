"""Test sets for networks, made by other code than their training sets; see README.md here."""
