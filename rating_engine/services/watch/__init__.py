"""The leader's work while calls last: quota calls, reconciliation, and what is known of each exchange."""
