"""Who may call, and how callers know this server: tokens, certificates, and their files."""
