"""The repair ladder: ways to bring an int8 file closer to its float network, from free to dear."""
