"""The service under load while its processes are killed, held, reloaded and told to stop."""
