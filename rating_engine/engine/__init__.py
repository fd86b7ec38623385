"""The one place that wires everything: settings in, a running engine out."""
