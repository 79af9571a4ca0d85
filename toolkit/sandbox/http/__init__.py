"""HTTP for the sandbox: application, server, framing of bodies."""
