"""A thin wrapper around DCMTK that moves requested studies from an MRI scanner's console to a site's server."""

__version__ = "0.1.0"
