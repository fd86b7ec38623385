"""What the engine tells of itself: metrics, logs, the lag of its event loop. Imports no other layer."""
