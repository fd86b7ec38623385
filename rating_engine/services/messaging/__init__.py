"""Messages: sent by carriers, received by numbers of ours, and charged."""
