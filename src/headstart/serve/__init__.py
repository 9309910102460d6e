"""The web page: a photo in, people in pixels and millimetres out, for one machine or a small network.

Nothing leaves the machine and nothing is kept: uploads live in a folder of the server's own until the photo is
replaced, the page is closed, a few minutes pass, or the server stops; results are never written at all.
"""

from headstart.serve.server import serve
from headstart.serve.uploads import Limits

__all__ = ["Limits", "serve"]
