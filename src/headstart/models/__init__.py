"""Networks: a backbone (backbone.py), a head (heads.py) and the two together (pose_net.py)."""
