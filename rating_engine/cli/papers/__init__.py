"""Commands about invoices, payments and credit notes."""
