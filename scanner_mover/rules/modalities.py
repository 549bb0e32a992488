"""Which series a site wants, by their modality (R40). A plain module: `status` asks it too."""

from collections.abc import Collection


def is_wanted(modality: str | None, modalities: Collection[str] | None) -> bool:
    """Whether a series of MODALITY is retrieved and waited for; one without a modality is (R40)."""
    return modalities is None or not modality or modality in modalities
