"""The console, asked: which series and images there are, and to send them."""
