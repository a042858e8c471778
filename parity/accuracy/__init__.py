"""COCO average precision of both sides and its exact paired bootstrap over images."""
