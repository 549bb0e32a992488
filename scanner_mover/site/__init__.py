"""This server: folders, requests, images, MPPS files, state, lock and log."""
