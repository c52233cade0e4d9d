"""Cameras, folders and file formats; the service finds them by entry point."""
