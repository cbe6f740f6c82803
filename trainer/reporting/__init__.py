"""What scores look like: tables, figures, pages."""
