"""parity: decides whether an object detector may move from PyTorch to an engine behind NVIDIA Triton."""

from __future__ import annotations

__version__ = "0.1.0"
