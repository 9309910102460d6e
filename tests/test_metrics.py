"""Metrics: values worked out by hand, invariances, and the defects that earlier implementations had."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import procrustes
from scipy.spatial.transform import Rotation

from headstart import metrics
from headstart.errors import ConfigError, HeadstartError
from headstart.geometry import procrustes_align
from headstart.skeleton import H36M_17, MPII_16, Skeleton

NAN = float("nan")
seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=40)


def poses(seed: int, people: int = 3, joints: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random truth and prediction (N, J, 3) mm, all labelled."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 400, (people, joints, 3))
    return truth + rng.normal(0, 80, truth.shape), truth, np.ones((people, joints), bool)


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    return Rotation.random(random_state=rng.integers(2**31)).as_matrix()


class TestPck:
    def test_a_345_triangle_is_a_hit_exactly_at_its_threshold(self):
        predicted, truth = np.array([[[3.0, 4.0], [3.0, 4.1]]]), np.zeros((1, 2, 2))
        labelled = np.ones((1, 2), bool)
        # Distances 5 and 5.08; 0.5 x 10 = 5, and 5 <= 5 counts.
        np.testing.assert_array_equal(metrics.pck(predicted, truth, labelled, np.array([10.0]), 0.5), [[1.0, 0.0]])
        np.testing.assert_allclose(
            metrics.distances_2d(predicted[:, :1], truth[:, :1], labelled[:, :1], [10.0]), [[0.5]]
        )

    def test_default_threshold_is_a_fifth_of_the_reference(self):
        truth, labelled = np.zeros((2, 1, 2)), np.ones((2, 1), bool)
        predicted = np.array([[[20.0, 0.0]], [[20.0, 0.0]]])
        np.testing.assert_array_equal(metrics.pck(predicted, truth, labelled, np.array([100.0, 99.0])), [[1.0], [0.0]])

    def test_pckh_is_half_of_each_persons_own_head_size(self):
        truth, labelled = np.zeros((2, 1, 2)), np.ones((2, 1), bool)
        predicted = np.array([[[0.0, 6.0]], [[0.0, 6.0]]])
        np.testing.assert_array_equal(
            metrics.pck(predicted, truth, labelled, np.array([12.0, 11.9]), 0.5), [[1.0], [0.0]]
        )

    def test_unlabelled_joints_are_nan_whatever_they_hold(self):
        truth = np.array([[[0.0, 0.0], [NAN, NAN]]])
        predicted = np.array([[[0.0, 0.0], [NAN, 7.0]]])
        hits = metrics.pck(predicted, truth, np.array([[True, False]]), np.array([10.0]))
        np.testing.assert_array_equal(hits, [[1.0, NAN]])

    def test_a_label_in_column_zero_counts(self):
        """Defect 16: the mask, not the coordinates, says what exists."""
        truth, labelled = np.zeros((1, 2, 2)), np.ones((1, 2), bool)
        predicted = np.array([[[0.0, 0.0], [50.0, 0.0]]])
        np.testing.assert_array_equal(metrics.pck(predicted, truth, labelled, np.array([10.0])), [[1.0, 0.0]])

    def test_a_person_without_joints_is_nan_not_zero(self):
        """Defect 15."""
        hits = metrics.pck(
            np.zeros((2, 3, 2)), np.zeros((2, 3, 2)), np.array([[True] * 3, [False] * 3]), np.full(2, 9.0)
        )
        assert np.isnan(hits[1]).all()
        assert metrics.mean_of_all(hits) == 1.0
        assert metrics.summarise(hits, "frames") == 1.0

    @pytest.mark.parametrize("reference", [NAN, 0.0, -1.0])
    def test_a_person_without_a_scale_has_no_score(self, reference):
        hits = metrics.pck(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), np.ones((1, 2), bool), np.array([reference]))
        assert np.isnan(hits).all()

    def test_a_lost_prediction_is_an_error_not_an_unlabelled_joint(self):
        predicted = np.array([[[0.0, 0.0], [NAN, 0.0]]])
        with pytest.raises(HeadstartError, match=r"predicted .* joint 1 of person 0"):
            metrics.pck(predicted, np.zeros((1, 2, 2)), np.ones((1, 2), bool), np.array([1.0]))

    def test_torso_is_left_shoulder_to_right_hip(self):
        pair = Skeleton("toy", ("left_shoulder", "right_shoulder", "left_hip", "right_hip"))
        truth = np.array([[[0, 0], [9, 9], [9, 9], [30, 40]]] * 2, float)
        labelled = np.array([[True, False, False, True], [True, True, True, False]])
        np.testing.assert_array_equal(metrics.torso_size(truth, labelled, pair), [50.0, NAN])


class TestMpjpe:
    TRUTH = np.array([[[0.0, 0, 0], [0, 3, 4]]])
    BOTH = np.ones((1, 2), bool)

    def test_by_hand(self):
        # Root moved by 100 mm: no error. Second joint, root-relative: (0, 0, 0) against (0, 3, 4): 5 mm.
        predicted = np.array([[[100.0, 0, 0], [100, 0, 0]]])
        np.testing.assert_allclose(metrics.mpjpe(predicted, self.TRUTH, self.BOTH, root=0), [[0.0, 5.0]])

    def test_n_mpjpe_finds_the_scale(self):
        predicted = np.array([[[7.0, 7, 7], [7, 13, 15]]])  # Root-relative (0, 6, 8): twice the truth.
        np.testing.assert_allclose(metrics.mpjpe(predicted, self.TRUTH, self.BOTH, root=0), [[0.0, 5.0]])
        np.testing.assert_allclose(metrics.n_mpjpe(predicted, self.TRUTH, self.BOTH, root=0), [[0.0, 0.0]], atol=1e-12)

    def test_n_mpjpe_by_hand(self):
        # (5, 0, 0) against (3, 4, 0): scale 15/25 = 0.6, so (3, 0, 0), 4 mm away.
        truth, predicted = np.array([[[0.0, 0, 0], [3, 4, 0]]]), np.array([[[0.0, 0, 0], [5, 0, 0]]])
        np.testing.assert_allclose(metrics.n_mpjpe(predicted, truth, self.BOTH, root=0), [[0.0, 4.0]])

    def test_n_mpjpe_does_not_mirror(self):
        # A negative scale would score 0.
        np.testing.assert_allclose(metrics.n_mpjpe(-self.TRUTH, self.TRUTH, self.BOTH, root=0), [[0.0, 5.0]])

    def test_a_collapsed_prediction_is_scored(self):
        flat = np.zeros((1, 4, 3))
        _, truth, labelled = poses(0, 1, 4)
        expected = np.linalg.norm(truth - truth[:, :1], axis=-1)
        np.testing.assert_allclose(metrics.n_mpjpe(flat, truth, labelled, root=0), expected)
        assert np.isfinite(metrics.pa_mpjpe(flat, truth, labelled)).all()

    def test_an_unlabelled_root_leaves_no_score(self):
        labelled = np.array([[False, True]])
        truth = np.array([[[NAN, NAN, NAN], [0, 3, 4]]])
        for metric in (metrics.mpjpe, metrics.n_mpjpe):
            assert np.isnan(metric(self.TRUTH, truth, labelled, root=0)).all()

    def test_the_root_need_not_be_scored(self):
        predicted, truth, labelled = poses(3)
        scored = np.array([False] + [True] * 7)
        errors = metrics.mpjpe(predicted, truth, labelled, root=0, scored=scored)
        assert np.isnan(errors[:, 0]).all()
        np.testing.assert_allclose(errors[:, 1:], metrics.mpjpe(predicted, truth, labelled, root=0)[:, 1:])

    def test_joints_that_are_not_scored_steer_no_fit(self):
        predicted, truth, labelled = poses(4)
        scored = np.array([True] * 6 + [False] * 2)
        wild = predicted.copy()
        wild[:, 6] += 1e4
        wild[:, 7] = NAN  # A model that lacks the joint.
        for metric in (metrics.pa_mpjpe, lambda *a, **k: metrics.n_mpjpe(*a, root=0, **k)):
            np.testing.assert_allclose(
                metric(wild, truth, labelled, scored=scored)[:, :6],
                metric(predicted[:, :6], truth[:, :6], labelled[:, :6]),
            )

    @pytest.mark.parametrize("name", ["mpjpe", "n_mpjpe"])
    def test_a_diverged_model_is_an_error(self, name):
        predicted, truth, labelled = poses(5)
        predicted[1, 2, 0] = np.inf
        with pytest.raises(HeadstartError, match=r"joint 2 of person 1"):
            getattr(metrics, name)(predicted, truth, labelled, root=0)
        with pytest.raises(HeadstartError, match=r"joint 2 of person 1"):
            metrics.pa_mpjpe(predicted, truth, labelled)


class TestInvariance:
    @quick
    @given(seeds)
    def test_the_exact_pose_scores_zero(self, seed):
        """Defect 14."""
        _, truth, labelled = poses(seed)
        np.testing.assert_array_equal(metrics.mpjpe(truth, truth, labelled, root=0), np.zeros((3, 8)))
        for errors in (metrics.n_mpjpe(truth, truth, labelled, root=0), metrics.pa_mpjpe(truth, truth, labelled)):
            np.testing.assert_allclose(errors, 0.0, atol=1e-9)

    @quick
    @given(seeds, st.floats(0.05, 20))
    def test_pa_to_similarities_n_to_scale_and_mpjpe_to_translation(self, seed, scale):
        predicted, truth, labelled = poses(seed)
        rng = np.random.default_rng(seed)
        shift = rng.normal(0, 1e3, (3, 1, 3))
        turned = scale * predicted @ random_rotation(rng).T + shift
        np.testing.assert_allclose(
            metrics.pa_mpjpe(turned, truth, labelled), metrics.pa_mpjpe(predicted, truth, labelled), atol=1e-6
        )
        np.testing.assert_allclose(
            metrics.n_mpjpe(scale * predicted + shift, truth, labelled, root=2),
            metrics.n_mpjpe(predicted, truth, labelled, root=2),
            atol=1e-6,
        )
        np.testing.assert_allclose(
            metrics.mpjpe(predicted + shift, truth - shift, labelled, root=2),
            metrics.mpjpe(predicted, truth, labelled, root=2),
            atol=1e-6,
        )

    @quick
    @given(seeds)
    def test_each_alignment_lowers_the_squared_error(self, seed):
        # Of squares, which the fits minimise: of mean distances it need not hold.
        predicted, truth, labelled = poses(seed)
        plain = metrics.mpjpe(predicted, truth, labelled, root=0)
        scaled = metrics.n_mpjpe(predicted, truth, labelled, root=0)
        aligned = metrics.pa_mpjpe(predicted, truth, labelled)
        squares = [(errors**2).sum(1) for errors in (aligned, scaled, plain)]
        assert (squares[0] <= squares[1] + 1e-6).all()
        assert (squares[1] <= squares[2] + 1e-6).all()

    @quick
    @given(seeds)
    def test_a_reflection_is_not_undone(self, seed):
        _, truth, labelled = poses(seed)
        assert (metrics.pa_mpjpe(truth * [-1, 1, 1], truth, labelled).mean(1) > 5.0).all()

    @quick
    @given(seeds, st.sampled_from([NAN, 0.0, -1.0, 1e9]))
    def test_unlabelled_joints_change_nothing(self, seed, junk):
        predicted, truth, labelled = poses(seed)
        labelled = np.random.default_rng(seed).random(labelled.shape) < 0.7
        labelled[:, :4] = True
        predicted_junk = np.where(labelled[..., None], predicted, junk)
        truth_junk = np.where(labelled[..., None], truth, junk)
        for metric in (
            lambda p, t: metrics.joint_errors(p, t, labelled),
            lambda p, t: metrics.mpjpe(p, t, labelled, root=0),
            lambda p, t: metrics.n_mpjpe(p, t, labelled, root=0),
            lambda p, t: metrics.pa_mpjpe(p, t, labelled),
        ):
            errors = metric(predicted_junk, truth_junk)
            np.testing.assert_array_equal(errors, metric(predicted, truth))
            np.testing.assert_array_equal(np.isnan(errors), ~labelled)

    def test_a_partly_labelled_person_equals_the_smaller_person(self):
        predicted, truth, labelled = poses(6)
        labelled[:, 5:] = False
        full = np.ones((3, 5), bool)
        np.testing.assert_allclose(
            metrics.pa_mpjpe(predicted, truth, labelled)[:, :5], metrics.pa_mpjpe(predicted[:, :5], truth[:, :5], full)
        )

    def test_two_joints_are_too_few_to_align(self):
        predicted, truth, labelled = poses(7)
        labelled[0, 2:] = False
        errors = metrics.pa_mpjpe(predicted, truth, labelled)
        assert np.isnan(errors[0]).all()
        assert np.isfinite(errors[1:]).all()


class TestProcrustes:
    """The optional weights of geometry.procrustes_align, and scipy's word on the rest."""

    @quick
    @given(seeds)
    def test_agrees_with_scipy_procrustes(self, seed):
        predicted, truth, _ = poses(seed, 1)
        residual = ((procrustes_align(predicted, truth) - truth) ** 2).sum()
        # scipy's disparity is the residual for a truth of unit size.
        size = ((truth - truth.mean(1, keepdims=True)) ** 2).sum()
        disparity = procrustes(truth[0], predicted[0])[2]
        # scipy may reflect, ours may not: where it does (nearly flat poses), ours must be worse, never as good.
        source, target = (points[0] - points[0].mean(0) for points in (predicted, truth))
        if np.linalg.det(source.T @ target) > 0:
            assert residual / size == pytest.approx(disparity)
        else:
            assert residual / size > disparity

    @quick
    @given(seeds)
    def test_weights_agree_with_scipy_align_vectors(self, seed):
        predicted, truth, _ = poses(seed, 1)
        weights = np.random.default_rng(seed).random(8) + 0.1
        source, target = (points[0] - np.average(points[0], axis=0, weights=weights) for points in (predicted, truth))
        turned = Rotation.align_vectors(target, source, weights=weights)[0].apply(source)
        scale = (weights[:, None] * turned * target).sum() / (weights[:, None] * source**2).sum()
        expected = scale * turned + np.average(truth[0], axis=0, weights=weights)
        np.testing.assert_allclose(procrustes_align(predicted, truth, weights[None])[0], expected, atol=1e-6)

    def test_equal_weights_are_no_weights(self):
        predicted, truth, _ = poses(8)
        np.testing.assert_allclose(
            procrustes_align(predicted, truth, np.full((3, 8), 7.0)), procrustes_align(predicted, truth)
        )

    def test_a_point_of_weight_zero_follows_the_others(self):
        truth = poses(9, 1, 5)[1]
        predicted = 2 * truth @ random_rotation(np.random.default_rng(9)).T + 50
        half_known = np.where(np.arange(5)[:, None] == 4, NAN, truth)
        aligned = procrustes_align(predicted, half_known, np.array([[1.0, 1, 1, 1, 0]]))
        np.testing.assert_allclose(aligned, truth, atol=1e-9)

    def test_any_leading_axes(self):
        predicted, truth, _ = poses(10, 6)
        grid = procrustes_align(predicted.reshape(2, 3, 8, 3), truth.reshape(2, 3, 8, 3), np.ones((2, 3, 8)))
        np.testing.assert_allclose(grid.reshape(6, 8, 3), procrustes_align(predicted, truth))

    def test_flat_people_are_turned_not_mirrored(self):
        # All points in one plane: the sign of the missing third direction must still make a rotation.
        flat = poses(11)[1] * [1, 1, 0]
        np.testing.assert_allclose(procrustes_align(flat * [-1, 1, 1], flat), flat, atol=1e-9)

    def test_no_weight_at_all_gives_no_nan(self):
        predicted, truth, _ = poses(12)
        assert np.isfinite(procrustes_align(predicted, truth, np.zeros((3, 8)))).all()


class TestThresholds:
    def test_3dpck_is_strict(self):
        errors = np.array([[0.0, 149.999, 150.0, NAN]])
        np.testing.assert_array_equal(metrics.pck3d(errors), [[1.0, 1.0, 0.0, NAN]])
        np.testing.assert_array_equal(metrics.pck3d(errors, 150.001), [[1.0, 1.0, 1.0, NAN]])

    def test_auc_by_hand(self):
        assert len(metrics.AUC_THRESHOLDS_MM) == 31
        assert (metrics.AUC_THRESHOLDS_MM[0], metrics.AUC_THRESHOLDS_MM[-1]) == (0.0, 150.0)
        # 0 beats 5..150: 30. 10 and 12 beat 15..150: 28. 149 beats 150. 150 and more beat nothing.
        errors = np.array([[0.0, 10.0, 12.0, 149.0, 150.0, 1e6, NAN]])
        np.testing.assert_allclose(metrics.auc(errors) * 31, [[30, 28, 28, 1, 0, 0, NAN]])

    def test_auc_is_the_mean_of_3dpck_over_thresholds(self):
        errors = np.random.default_rng(0).uniform(0, 200, (20, 5))
        curve = [metrics.mean_of_all(metrics.pck3d(errors, t)) for t in range(0, 151, 5)]
        assert metrics.mean_of_all(metrics.auc(errors)) == pytest.approx(np.mean(curve))


class TestZhou2017:
    def test_by_hand(self):
        # Everything at the pelvis (0.5, 0.5, 0) of the map, but upper neck 0.3 and head top 0.4 above it.
        predicted = np.tile([0.5, 0.5, 0.0], (1, 16, 1))
        predicted[0, MPII_16.index("neck")] += [0, -0.3, 0]
        predicted[0, MPII_16.index("head_top")] += [0, -0.4, 0]
        # In H36M order: 8 = -0.3, 10 = -0.4, 7 := (0 - 0.3)/2 = -0.15, 9 := (-0.3 - 0.4)/2 = -0.35.
        # Bones: 0-7 0.15, 7-8 0.15, 8-10 0.1, 14-8 0.3, 8-11 0.3, the other ten 0: sum 1. Scale 4000 / 1.
        pose = metrics.zhou2017_rescale(predicted)
        expected = np.zeros((17, 3))
        expected[[7, 8, 9, 10], 1] = [-600, -1200, -1400, -1600]
        np.testing.assert_allclose(pose[0], expected, atol=1e-9)
        # Against a person who is all pelvis, wherever it stands: (600 + 1200 + 1400 + 1600) / 17 mm.
        truth = np.full((1, 17, 3), 2500.0)
        errors = metrics.zhou2017_mpjpe(predicted, truth, np.ones((1, 17), bool))
        assert metrics.summarise(errors, "frames") == pytest.approx(4800 / 17)

    def test_joints_go_by_name(self):
        predicted = np.random.default_rng(0).random((1, 16, 3))
        pose = metrics.zhou2017_rescale(predicted)[0]
        relative = predicted[0] - predicted[0, MPII_16.index("pelvis")]
        size = pose[1] / relative[MPII_16.index("right_hip")]
        kept = [name for name in H36M_17.names if name not in ("spine", "thorax", "nose")]
        np.testing.assert_allclose(pose[H36M_17.indices(tuple(kept))], size * relative[MPII_16.indices(tuple(kept))])
        np.testing.assert_allclose(pose[H36M_17.index("thorax")], size * relative[MPII_16.index("neck")])

    def test_fifteen_bones_without_the_nose(self):
        bones = metrics.ZHOU2017_BONES
        assert len(bones) == len(set(map(frozenset, bones))) == 15
        assert {joint for bone in bones for joint in bone} == set(range(17)) - {H36M_17.index("nose")}
        assert tuple(H36M_17.names[joint] for joint in bones[-1]) == ("left_elbow", "left_wrist")

    @quick
    @given(seeds, st.floats(0.01, 100))
    def test_always_4000_mm_of_bone(self, seed, scale):
        predicted = scale * np.random.default_rng(seed).normal(size=(4, 16, 3))
        pose = metrics.zhou2017_rescale(predicted)
        np.testing.assert_allclose(metrics.bone_sum(pose, metrics.ZHOU2017_BONES), 4000.0)
        np.testing.assert_array_equal(pose[:, 0], 0.0)

    def test_a_collapsed_prediction_stays_finite(self):
        np.testing.assert_array_equal(metrics.zhou2017_rescale(np.full((1, 16, 3), 0.5)), np.zeros((1, 17, 3)))

    def test_it_leaves_its_input_alone_and_skips_people_without_a_pelvis(self):
        predicted = np.random.default_rng(1).random((2, 16, 3))
        before = predicted.copy()
        labelled = np.ones((2, 17), bool)
        labelled[1, 0] = False
        errors = metrics.zhou2017_mpjpe(predicted, np.zeros((2, 17, 3)), labelled)
        np.testing.assert_array_equal(predicted, before)
        np.testing.assert_array_equal(np.isnan(errors).all(1), [False, True])


class TestAggregation:
    # Joint a: labelled for three, hits 1 1 0. Joint b: labelled for one, hit. The last person has no label.
    VALUES = np.array([[1.0, NAN], [1.0, 1.0], [0.0, NAN], [NAN, NAN]])
    GROUPS = ("walk", "walk", "sit", "sit")

    def test_by_hand(self):
        assert metrics.summarise(self.VALUES, "joints") == 3 / 4
        assert metrics.summarise(self.VALUES, "frames") == pytest.approx((1 + 1 + 0) / 3)
        assert metrics.summarise(self.VALUES, "groups", self.GROUPS) == (1 + 0) / 2
        assert metrics.per_joint(self.VALUES, ("a", "b")) == {"a": pytest.approx(2 / 3), "b": 1.0}
        assert metrics.grouped(self.VALUES, self.GROUPS) == {"sit": 0.0, "walk": 1.0}
        np.testing.assert_array_equal(metrics.mean_over_joints(self.VALUES), [1.0, 1.0, 0.0, NAN])

    def test_joints_and_frames_differ_where_labels_are_missing(self):
        values = np.array([[1.0, 1.0, 1.0], [0.0, NAN, NAN]])
        assert metrics.summarise(values, "joints") == 3 / 4
        assert metrics.summarise(values, "frames") == 1 / 2

    def test_strata_split_the_values(self):
        visible = np.array([[True, False], [False, True], [True, True], [True, True]])
        parts = metrics.strata(self.VALUES, {"visible": visible, "occluded": ~visible})
        assert parts == {"visible": pytest.approx((1 + 1 + 0) / 3), "occluded": 1.0}

    def test_nothing_gives_nan_without_a_warning(self, recwarn):
        nothing = np.full((2, 2), NAN)
        for how in ("joints", "frames", "groups"):
            assert np.isnan(metrics.summarise(nothing, how, ("a", "b")))
        assert np.isnan(metrics.summarise(np.zeros((0, 2)), "frames"))
        assert np.isnan(list(metrics.per_joint(nothing, ("a", "b")).values())).all()
        assert not recwarn.list

    def test_a_group_without_labels_is_left_out_of_the_mean(self):
        assert metrics.summarise(self.VALUES, "groups", ("a", "a", "b", "c")) == (1 + 0) / 2

    def test_official_mpii_weighting(self):
        """Per-joint scores weighted by counts, as the official script writes it, are sum over count."""
        rng = np.random.default_rng(0)
        values = np.where(rng.random((50, 14)) < 0.7, rng.random((50, 14)) < 0.6, NAN)
        counts = (~np.isnan(values)).sum(0)
        official = (np.nansum(values, 0) / counts * counts / counts.sum()).sum()
        assert metrics.summarise(values, "joints") == pytest.approx(official)

    def test_wrong_lengths_are_named(self):
        with pytest.raises(ConfigError, match="4 people, but 1 group"):
            metrics.summarise(self.VALUES, "groups", ("a",))
        with pytest.raises(ConfigError, match="2 columns of values, but 1 joint"):
            metrics.per_joint(self.VALUES, ("a",))


def test_a_mean_over_groups_is_over_the_frames_of_each():
    """Walking: frames of 1 and (0 + 0) / 2, so 1/2 (over joints it would be 1/3); sitting: 1. Together 3/4."""
    values = np.array([[1.0, NAN], [0.0, 0.0], [1.0, 1.0]])
    assert metrics.summarise(values, "groups", ("walk", "walk", "sit")) == pytest.approx(3 / 4)
    assert metrics.grouped(values, ("walk", "walk", "sit"), "joints") == {"sit": 1.0, "walk": pytest.approx(1 / 3)}
    assert metrics.grouped(values, ("walk", "walk", "sit"), "frames") == {"sit": 1.0, "walk": 0.5}
