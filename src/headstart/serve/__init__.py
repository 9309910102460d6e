"""The web page: a photo in, people in pixels and millimetres out, for one machine or a small network.

Nothing leaves the machine and nothing is kept: an upload stays in a temporary folder until the photo is replaced, the
page is closed, a few minutes pass, or the server stops; results are never written to disk.
"""

from headstart.serve.server import serve
from headstart.serve.uploads import Limits

__all__ = ["Limits", "serve"]
