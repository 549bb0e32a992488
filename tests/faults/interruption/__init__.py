"""What Python runs first in a mover that a signal reaches at a chosen instruction."""
