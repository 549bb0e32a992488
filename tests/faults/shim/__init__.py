"""What Python runs first in a mover whose system calls are counted or fail."""
