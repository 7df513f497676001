"""The peer of bench/metrics.bench.ts: the same figures by scipy.ndimage and NumPy, from arrays in memory to figures in memory.

python3 scipy_peer.py '{"work", "folder", "shape", "spacing", ...}': one JSON object on stdout with the seconds of each timed run, the most
memory the process was resident with until then, and the figures, or how far they are from those that ours left in the folder.
"""

import json
import os
import resource
import sys
import time

import numpy
import scipy
from scipy import ndimage

options = json.loads(sys.argv[1])
shape, spacing = options["shape"], options["spacing"]


def read(name):
    return numpy.fromfile(os.path.join(options["folder"], name), numpy.uint8).reshape(shape)


def surface(mask):
    # Six neighbours; what lies outside the volume is background.
    return mask & ~ndimage.binary_erosion(mask)


def joint_box(either):
    places = [numpy.flatnonzero(either.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    return tuple(slice(int(p[0]), int(p[-1]) + 1) for p in places)


def region_figures(a, b, tolerance):
    if options["crop"]:
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


def all_metrics():
    figures = {}
    for region in options["regions"]:
        members = numpy.zeros(256, bool)
        members[region["labels"]] = True
        figures[region["name"]] = region_figures(members[truth], members[prediction], region["toleranceMm"])
    return figures


work = options["work"]
truth = read("truth.u8")
if work == "components":
    structure = ndimage.generate_binary_structure(3, 1 if options["connectivity"] == 6 else 3)
    run = lambda: ndimage.label(truth, structure)
elif work == "distance":
    # SciPy goes from what is not zero to the nearest zero.
    mask = truth != 0 if options["to"] == "background" else truth == 0
    run = lambda: ndimage.distance_transform_edt(mask, sampling=spacing)
else:
    prediction = read("prediction.u8")
    run = all_metrics

begin = time.perf_counter()
result = run()
warm_up = time.perf_counter() - begin
seconds, processor = [], []
for _ in range(1 if warm_up > options["slow"] else options["samples"]):
    begin, before = time.perf_counter(), time.process_time()
    result = run()
    seconds.append(time.perf_counter() - begin)
    processor.append(time.process_time() - before)


def resident_mb():
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    except OSError:
        # Kilobytes on Linux, bytes on macOS.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)


answer = {"seconds": seconds, "cpu": processor, "rss_mb": resident_mb(), "version": scipy.__version__}
if work == "metrics":
    answer["figures"] = result
elif options["check"]:
    ours = numpy.fromfile(os.path.join(options["folder"], "result"), numpy.int32 if work == "components" else numpy.float64)
    ours = ours.reshape(shape)
    if work == "components":
        theirs, count = result
        # The same partition, whatever the numbers are.
        pairs = numpy.unique(ours.astype(numpy.int64) * (count + 1) + theirs)
        same = int(ours.max()) == count and len(pairs) == count + 1 and not numpy.any((ours == 0) != (theirs == 0))
        answer.update(count=count, worst=0 if same else 1)
    else:
        answer["worst"] = float(numpy.max(numpy.abs(ours - result) / numpy.maximum(result, 1e-300)))
print(json.dumps(answer))
