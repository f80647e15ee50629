"""Seeds to latents, ways between latents, directions."""
