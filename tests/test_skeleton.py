"""Joints by name: flips, bones and conversions, and the joints that earlier implementations invented."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.errors import ConfigError
from headstart.skeleton import (
    BODY_18,
    BODY_24,
    CANONICAL,
    COCO_17,
    COCO_23,
    FEET,
    H36M_17,
    LSP_14,
    MODEL_SKELETONS,
    MPII_16,
    WITH_FEET,
    Skeleton,
    conversion,
    convert_points,
    mirrored_name,
    vocabulary,
)

SKELETONS = list(MODEL_SKELETONS.values())
quick = settings(max_examples=40)


def named_edges(skeleton: Skeleton) -> set[tuple[str, str]]:
    return {(skeleton.names[parent], skeleton.names[child]) for parent, child in skeleton.edges}


def points_of(skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """A different point (J, 2) for each joint, all labelled (J,)."""
    number = np.arange(len(skeleton), dtype=np.float32)
    return np.stack([10 * number, 100 + number**2], 1), np.ones(len(skeleton), bool)


def convert(source: Skeleton, target: Skeleton, unlabelled: tuple[str, ...] = ()) -> tuple[np.ndarray, np.ndarray]:
    points, labelled = points_of(source)
    labelled[source.indices(unlabelled)] = False
    points[~labelled] = np.nan
    return convert_points(conversion(source, target), points, labelled)


class TestNames:
    @pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda s: s.name)
    def test_flip_index_is_an_involution_that_swaps_sides_only(self, skeleton: Skeleton):
        order = np.array(skeleton.flip_index)
        np.testing.assert_array_equal(order[order], np.arange(len(skeleton)))
        for here, there in enumerate(order):
            assert skeleton.names[there] == mirrored_name(skeleton.names[here])
            assert (here == there) == (not skeleton.names[here].startswith(("left_", "right_")))

    def test_flip_of_mpii_by_hand(self):
        assert MPII_16.flip_index == (5, 4, 3, 2, 1, 0, 6, 7, 8, 9, 15, 14, 13, 12, 11, 10)

    def test_orders_of_the_official_formats(self):
        assert [MPII_16.names[i] for i in (0, 6, 7, 8, 9, 15)] == [
            "right_ankle",
            "pelvis",
            "thorax",
            "neck",
            "head_top",
            "left_wrist",
        ]
        assert [H36M_17.names[i] for i in (0, 1, 4, 7, 8, 9, 10, 11, 14)] == [
            "pelvis",
            "right_hip",
            "left_hip",
            "spine",
            "thorax",
            "nose",
            "head_top",
            "left_shoulder",
            "right_shoulder",
        ]
        assert LSP_14.names[6:8] + LSP_14.names[12:] == ("right_wrist", "right_elbow", "neck", "head_top")

    def test_unknown_joint_names_the_joints_there_are(self):
        with pytest.raises(ConfigError, match=r"lsp_14 has no joint 'pelvis'.*right_ankle"):
            LSP_14.index("pelvis")

    def test_a_joint_named_twice_is_refused(self):
        with pytest.raises(ConfigError, match="unique"):
            Skeleton("twice", ("neck", "neck"))

    def test_one_side_alone_is_refused(self):
        with pytest.raises(ConfigError, match="no mirrored joint for left_hip"):
            Skeleton("half", ("left_hip", "neck"))


class TestFeet:
    def test_without_feet_nothing_moves(self):
        """Indexes, packs and weights of 22 joints are read as they are: joints of the feet come after all others."""
        assert len(CANONICAL) == 22
        assert WITH_FEET.names == CANONICAL.names + FEET
        assert WITH_FEET.flip_index[:22] == CANONICAL.flip_index
        assert WITH_FEET.parents[:22] == CANONICAL.parents
        assert BODY_24.names[:18] == BODY_18.names
        assert COCO_23.names[:17] == COCO_17.names
        assert all(skeleton.names[-6:] == FEET for skeleton in (WITH_FEET, BODY_24, COCO_23))

    def test_order_sides_and_bones(self):
        assert FEET[:3] == ("left_big_toe", "left_small_toe", "left_heel")
        assert COCO_23.flip_index[17:] == (20, 21, 22, 17, 18, 19)
        bones = named_edges(BODY_24) - named_edges(BODY_18)
        assert bones == {
            (f"{side}_ankle", f"{side}_{part}")
            for side in ("left", "right")
            for part in ("big_toe", "small_toe", "heel")
        }

    def test_labels_are_kept_in_as_many_joints_as_they_need(self):
        assert [vocabulary(source) for source in (MPII_16, COCO_17, CANONICAL)] == [CANONICAL] * 3
        heels = Skeleton("heels", ("left_heel", "right_heel", "left_toe", "right_toe"))
        assert [vocabulary(source) for source in (COCO_23, WITH_FEET, heels)] == [WITH_FEET] * 3
        assert vocabulary(Skeleton("toes", ("left_toe", "right_toe"))) is CANONICAL


class TestEdges:
    def test_edges_of_mpii(self):
        limbs = {
            (f"{side}_{parent}", f"{side}_{child}")
            for side in ("left", "right")
            for parent, child in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
        }
        roots = {("pelvis", f"{side}_hip") for side in ("left", "right")}
        roots |= {("thorax", f"{side}_shoulder") for side in ("left", "right")}
        trunk = {("pelvis", "thorax"), ("thorax", "neck"), ("neck", "head_top")}
        assert named_edges(MPII_16) == limbs | roots | trunk

    def test_edges_of_human36m(self):
        legs = {(0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (5, 6)}
        arms = {(8, 11), (11, 12), (12, 13), (8, 14), (14, 15), (15, 16)}
        assert set(H36M_17.edges) == legs | arms | {(0, 7), (7, 8), (8, 9), (8, 10)}

    @pytest.mark.parametrize("skeleton", [MPII_16, H36M_17, CANONICAL, BODY_24, WITH_FEET], ids=lambda s: s.name)
    def test_a_full_body_is_one_tree_rooted_at_the_pelvis(self, skeleton: Skeleton):
        roots = [joint for joint, parent in zip(skeleton.names, skeleton.parents, strict=True) if parent < 0]
        assert roots == ["pelvis"]
        assert len(skeleton.edges) == len(skeleton) - 1

    @pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda s: s.name)
    def test_mirrored_bones_are_bones(self, skeleton: Skeleton):
        flip = skeleton.flip_index
        assert {(flip[parent], flip[child]) for parent, child in skeleton.edges} == set(skeleton.edges)


class TestConversion:
    @pytest.mark.parametrize(("source", "target"), list(product(SKELETONS, SKELETONS)), ids=lambda s: s.name)
    def test_rows_are_copies_midpoints_or_nothing(self, source: Skeleton, target: Skeleton):
        matrix = conversion(source, target)
        for row, joint in zip(matrix, target.names, strict=True):
            used = {source.names[i]: row[i] for i in np.flatnonzero(row)}
            if joint in source.names:
                assert used == {joint: 1}
            elif joint == "pelvis":
                assert used == {"left_hip": 0.5, "right_hip": 0.5}
            elif joint == "thorax":
                assert used == {"left_shoulder": 0.5, "right_shoulder": 0.5}
            else:
                assert used == {}

    @pytest.mark.parametrize("joint", ["head_top", "neck", "spine"])
    def test_head_neck_and_spine_are_never_invented(self, joint: str):
        """Defect 7: COCO has a nose, two ears and shoulders, and still no neck and no top of the head."""
        points, labelled = convert(COCO_17, CANONICAL)
        assert not labelled[CANONICAL.index(joint)]
        assert np.isnan(points[CANONICAL.index(joint)]).all()

    def test_thorax_comes_from_the_shoulders_not_the_spine(self):
        """Defect 10: one definition, wherever the data set lacks the joint."""
        points, labelled = convert(LSP_14, MPII_16)
        source, _ = points_of(LSP_14)
        shoulders = source[LSP_14.indices(("left_shoulder", "right_shoulder"))]
        assert labelled[MPII_16.index("thorax")]
        np.testing.assert_allclose(points[MPII_16.index("thorax")], shoulders.mean(0))

    def test_a_labelled_pelvis_is_kept_rather_than_averaged(self):
        points, _ = convert(H36M_17, MPII_16, unlabelled=("left_hip",))
        source, _ = points_of(H36M_17)
        np.testing.assert_array_equal(points[MPII_16.index("pelvis")], source[H36M_17.index("pelvis")])

    @pytest.mark.parametrize("missing", [("left_hip",), ("right_hip",), ("left_hip", "right_hip")])
    def test_pelvis_of_a_half_labelled_pair_is_unlabelled(self, missing: tuple[str, ...]):
        """Defect 5: pelvis and thorax averaged from unlabelled parents."""
        points, labelled = convert(LSP_14, MPII_16, unlabelled=missing)
        assert not labelled[MPII_16.index("pelvis")]
        assert np.isnan(points[MPII_16.index("pelvis")]).all()
        assert labelled[MPII_16.index("thorax")]

    @quick
    @given(st.lists(st.booleans(), min_size=17, max_size=17))
    def test_mirroring_and_converting_commute_under_any_labels(self, flags: list[bool]):
        points, labelled = points_of(COCO_17)[0], np.array(flags)
        points[~labelled] = np.nan
        matrix, flip = conversion(COCO_17, CANONICAL), list(COCO_17.flip_index)
        there, there_known = convert_points(matrix, points, labelled)
        mirrored, mirrored_known = convert_points(matrix, points[flip], labelled[flip])
        np.testing.assert_array_equal(mirrored_known, there_known[list(CANONICAL.flip_index)])
        np.testing.assert_allclose(mirrored, there[list(CANONICAL.flip_index)])
        np.testing.assert_array_equal(np.isfinite(there).all(1), there_known)

    def test_there_and_back_is_the_identity_on_shared_joints(self):
        points, labelled = points_of(MPII_16)
        canonical, known = convert_points(conversion(MPII_16, CANONICAL), points, labelled)
        back, back_known = convert_points(conversion(CANONICAL, MPII_16), canonical, known)
        assert back_known.all()
        np.testing.assert_array_equal(back, points)

    def test_the_shared_matrix_is_read_only(self):
        with pytest.raises(ValueError, match="read-only"):
            conversion(COCO_17, CANONICAL)[0, 0] = 1


def test_who_has_no_ancestor_has_the_parent_minus_one() -> None:
    assert Skeleton("legs", ("left_hip", "left_ankle", "right_hip", "right_ankle")).parents == (-1, 0, -1, 2)
