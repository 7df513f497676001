"""SciPy as the peer of the benches of volumes: the same figures by scipy.ndimage and NumPy, from arrays in memory to a result in memory.

python3 scipy_volumes.py '{"work", "folder", "shape", ...}' (bench/volumes/task.ts) and then lines on stdin (serve.py).
"""

import json
import os
import sys

import numpy
import scipy
from scipy import ndimage
from serve import serve

options = json.loads(sys.argv[1])
work, shape, spacing = options["work"], options["shape"], options.get("spacing")


def read(name, dtype=numpy.uint8, axes=None):
    return numpy.fromfile(os.path.join(options["folder"], name), dtype).reshape(axes or shape)


def surface(mask):
    # Six neighbours; what lies outside the volume is background.
    return mask & ~ndimage.binary_erosion(mask)


def joint_box(either):
    places = [numpy.flatnonzero(either.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    return tuple(slice(int(p[0]), int(p[-1]) + 1) for p in places)


def region_figures(a, b, tolerance):
    if options.get("crop"):
        box = joint_box(a | b)
        a, b = a[box], b[box]
    voxels_a, voxels_b, both = (int(numpy.count_nonzero(m)) for m in (a, b, a & b))
    surface_a, surface_b = surface(a), surface(b)
    ab = ndimage.distance_transform_edt(~surface_b, sampling=spacing)[surface_a]
    ba = ndimage.distance_transform_edt(~surface_a, sampling=spacing)[surface_b]
    places = len(ab) + len(ba)
    return {
        "dice": 2 * both / (voxels_a + voxels_b),
        "iou": both / (voxels_a + voxels_b - both),
        "precision": both / voxels_b,
        "recall": both / voxels_a,
        "hausdorff": float(max(ab.max(), ba.max())),
        "hd95": float(max(numpy.percentile(ab, 95), numpy.percentile(ba, 95))),
        "assd": float((ab.sum() + ba.sum()) / places),
        "surfaceDice": float((numpy.count_nonzero(ab <= tolerance) + numpy.count_nonzero(ba <= tolerance)) / places),
    }


def confusion(truth, prediction):
    # One pass over pairs as numbers of 16 bits; bincount itself takes integers of the machine's width.
    labels = options["labels"]
    pairs = truth.astype(numpy.uint16 if labels <= 256 else numpy.intp)
    pairs *= labels
    pairs += prediction
    return numpy.bincount(pairs.ravel(), minlength=labels * labels)


def surface_summary(a, b):
    """Voxels of a, b and both; surface voxels, sums, maxima and 95th percentiles of a to b and b to a, in the order of ours without areas."""
    sizes = [int(numpy.count_nonzero(m)) for m in (a, b, a & b)]
    if options.get("crop"):
        box = joint_box(a | b)
        a, b = a[box], b[box]
    surface_a, surface_b = surface(a), surface(b)
    ab = ndimage.distance_transform_edt(~surface_b, sampling=spacing)[surface_a]
    ba = ndimage.distance_transform_edt(~surface_a, sampling=spacing)[surface_b]
    figures = [len, numpy.sum, numpy.max, lambda d: numpy.percentile(d, 95)]
    return numpy.array(sizes + [float(f(d)) for f in figures for d in (ab, ba)])


def all_metrics(truth, prediction):
    figures = {}
    for region in options["regions"]:
        members = numpy.zeros(256, bool)
        members[region["labels"]] = True
        figures[region["name"]] = region_figures(members[truth], members[prediction], region["toleranceMm"])
    return figures


def compare_figures(theirs, path):
    """The largest relative difference; NaN where one has a figure that the other lacks."""
    with open(path) as file:
        ours = json.load(file)
    names = {(region, name) for figures in (ours, theirs) for region in figures for name in figures[region]}
    worst = 0.0
    for region, name in names:
        a, b = ours.get(region, {}).get(name), theirs.get(region, {}).get(name)
        if a is None or b is None:
            return float("nan")
        worst = max(worst, 0.0 if a == b else abs(a - b) / max(abs(b), 1e-300))
    return worst


def compare_components(result, path):
    """0 where both are the same partition, whatever the numbers are, else 1."""
    theirs, count = result
    ours = numpy.fromfile(path, numpy.int32).reshape(shape)
    pairs = numpy.unique(ours.astype(numpy.int64) * (count + 1) + theirs)
    same = int(ours.max()) == count and len(pairs) == count + 1 and not numpy.any((ours == 0) != (theirs == 0))
    return 0 if same else 1


def compare_distances(theirs, path):
    ours = numpy.fromfile(path, numpy.float64 if options.get("dtype", "f64") == "f64" else numpy.float32).reshape(shape)
    return numpy.max(numpy.abs(ours - theirs) / numpy.maximum(theirs, 1e-300))


def compare_counts(theirs, path):
    return float(numpy.any(numpy.fromfile(path, numpy.float64) != theirs))


def compare_surfaces(theirs, path):
    # Behind the counts of surface voxels ours has their areas, which these surfaces do not have.
    ours = numpy.delete(numpy.fromfile(path, numpy.float64), [5, 6])
    if ours.shape != theirs.shape:
        return float("nan")
    return numpy.max(numpy.abs(ours - theirs) / numpy.maximum(numpy.abs(theirs), 1e-300))


def window(ct):
    """HU clipped to a window and scaled to 0..1."""
    level, width = options["window"]["level"], options["window"]["width"]
    windowed = ct.astype(numpy.float32)
    windowed -= numpy.float32(level - width / 2)
    windowed *= numpy.float32(1 / width)
    return numpy.clip(windowed, 0, 1, out=windowed)


def compare_voxels(theirs, path):
    ours = numpy.fromfile(path, numpy.float32).reshape(theirs.shape)
    return numpy.max(numpy.abs(ours - theirs))


# Both grids cover the same box: that is SciPy's grid mode, with the nearest voxel outside.
def zoom(array):
    factors = [to / of for to, of in zip(options["size"], shape)]
    return ndimage.zoom(array, factors, order=1, mode="nearest", prefilter=False, grid_mode=True)


if work == "components":
    truth = read("truth.u8")
    structure = ndimage.generate_binary_structure(3, 1 if options["connectivity"] == 6 else 3)
    run, compare = lambda: ndimage.label(truth, structure), compare_components
elif work == "distance":
    # SciPy goes from what is not zero to the nearest zero.
    truth = read("truth.u8")
    mask = truth != 0 if options["to"] == "background" else truth == 0
    run, compare = lambda: ndimage.distance_transform_edt(mask, sampling=spacing), compare_distances
elif work == "overlap":
    truth, prediction = read("truth.u8"), read("prediction.u8")
    run, compare = lambda: confusion(truth, prediction), compare_counts
elif work == "surface":
    truth, prediction = read("truth.u8"), read("prediction.u8")
    run, compare = lambda: surface_summary(truth != 0, prediction != 0), compare_surfaces
elif work == "window":
    ct = read("ct.i16", numpy.int16)
    run, compare = lambda: window(ct), compare_voxels
elif work == "resample":
    ct = read("ct.i16", numpy.int16)
    run, compare = lambda: zoom(window(ct)), compare_voxels
elif work == "resampleArgmax":
    # Channels first: each is zoomed by itself.
    logits = numpy.ascontiguousarray(numpy.moveaxis(read("logits.f32", numpy.float32, shape + [options["classes"]]), -1, 0))

    def run():
        return numpy.argmax(numpy.stack([zoom(channel) for channel in logits]), axis=0).astype(numpy.uint8)

    def compare(theirs, path):
        # The share of voxels whose class is another one: where two logits are equal but for rounding.
        ours = numpy.fromfile(path, numpy.uint8).reshape(options["size"])
        return numpy.mean(ours != theirs)

else:
    truth, prediction = read("truth.u8"), read("prediction.u8")
    run, compare = lambda: all_metrics(truth, prediction), compare_figures

serve(run, compare, version=scipy.__version__)
