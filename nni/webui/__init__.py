"""What people look at. Importing this imports NiceGUI: the server does so when the first page is asked for."""

from nni.webui.site import Site

__all__ = ["Site"]
