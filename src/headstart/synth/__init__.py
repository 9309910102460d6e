"""Synthetic people: labelled pictures made from packed bodies and motion, without downloads or graphics drivers."""
