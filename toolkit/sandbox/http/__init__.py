"""The sandbox's HTTP side: application, server, framing of bodies."""
