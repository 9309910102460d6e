"""Which parts show a joint, and where a picture ends; test_domains.py asks rays about whole scenes."""

import numpy as np
from test_render import CAMERA, wall

from headstart.skeleton import WITH_FEET
from headstart.synth.body import PARTS
from headstart.synth.labels import State, joint_states, shown_by
from headstart.synth.mesh import MeshBuilder


def test_a_joint_is_shown_by_the_parts_that_it_joins():
    shows, _ = shown_by()
    parts = {name: {PARTS[number] for number in np.flatnonzero(row)} for name, row in zip(WITH_FEET.names, shows)}
    for side in ("left", "right"):
        limbs = {"ankle": ("shin", "foot"), "knee": ("thigh", "shin"), "wrist": ("forearm", "hand")}
        limbs |= {"elbow": ("upper_arm", "forearm")}
        for joint, both in limbs.items():
            assert parts[f"{side}_{joint}"] == {f"{side}_{part}" for part in both}
        for joint in ("big_toe", "small_toe", "heel"):
            assert parts[f"{side}_{joint}"] == {f"{side}_foot"}
        assert parts[f"{side}_hip"] == {"torso", f"{side}_thigh"}
        assert parts[f"{side}_shoulder"] == {"torso", f"{side}_upper_arm"}
        assert parts[f"{side}_eye"] == parts[f"{side}_ear"] == {"head"}
    assert parts["nose"] == parts["head_top"] == {"head"}
    assert parts["spine"] == {"torso"}
    assert parts["neck"] == parts["thorax"] == {"torso", "head"}


def test_the_outer_half_pixel_belongs_to_the_picture():
    """A wall 3 m away, joints 2 m away: nothing hides them, but some lie outside of the 32 x 32 px."""
    builder = MeshBuilder()
    wall(builder, 3000, 2000)
    pixels, xyz = np.full((22, 2), 16.0), np.tile([0.0, 0.0, 2000.0], (22, 1))
    pixels[:6] = [(-0.4, 16), (-0.6, 16), (31.4, 16), (31.6, 16), (16, -0.4), (16, 31.6)]
    states = joint_states(builder.build(), CAMERA, xyz, pixels, 32, 32)
    inside, outside = State.VISIBLE, State.OUT_OF_FRAME
    assert states[:6].tolist() == [inside, outside, inside, outside, inside, outside]
    assert (states[6:] == inside).all()
