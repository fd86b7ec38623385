"""HTTP: one application, one sub-application per surface. A handler is parse, one service call, render."""
