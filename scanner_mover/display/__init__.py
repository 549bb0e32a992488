"""What people and programs read: tables, plain text, live progress, JSON, Prometheus, a page for a browser."""
