"""What can be watched of a pass while it goes on; this one looks away. A plain module."""


class Progress:
    """Hears what a pass counts and retrieves. `image` may be called from another thread."""

    def counted(
        self, study_instance_uid: str, series_instance_uid: str, received: int, expected: int | None, complete: bool
    ) -> None:
        """A series was counted: images here, and images that the scanner has, None when it gives no number."""

    def retrieving(self, study_instance_uid: str, series_instance_uid: str) -> None:
        """A C-MOVE of a series begins."""

    def image(self) -> None:
        """One more image of the series that is retrieved was sent."""
