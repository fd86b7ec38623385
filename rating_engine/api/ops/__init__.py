"""For whoever runs the engine: metrics, is it alive, is it ready."""
