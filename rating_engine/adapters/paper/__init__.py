"""Invoices as PDF: drawn by a process of their own (drawing), which is started for each (printer)."""
