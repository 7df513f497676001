"""What renvox is timed against: PyTorch's networks and sampling, CuPy's and SciPy's labels and distances, by CUDA events.

python3 rivals.py '{"folder", "ct", "network", "names", "spacing", "classes", "cuda", "deadline"}': a JSON row a line, in the order of
importance, until the deadline (epoch seconds). Every variant is timed and reported; the reader takes the best. A library that is
missing, or a variant that fails, is reported with its reason.
"""

import json
import sys
import time

options = json.loads(sys.argv[1])
names = options["names"]
cuda = options["cuda"]


def left():
    return options["deadline"] - time.time()


def say(name, **row):
    print(json.dumps({"name": name, "ok": None, **row}), flush=True)


try:
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
except ImportError as error:
    torch = None
    say("PyTorch", note=f"not there: {error}")
if torch and cuda and not torch.cuda.is_available():
    say("PyTorch", note="finds no GPU")
    torch = None


def figures(values):
    values = sorted(values)
    cut = len(values) // 10
    middle = values[len(values) // 2]
    return {
        "median_ms": middle,
        "spread": (values[-1 - cut] - values[cut]) / middle,
        "n": len(values),
    }


def clock(run, budget=0.6, warm=3):
    """Milliseconds of each run between events on the stream, enqueued without a pause; on the CPU by the monotonic clock."""
    for _ in range(warm):
        run()
    if not cuda:
        times = []
        end = time.perf_counter() + budget
        while len(times) < 3 or (time.perf_counter() < end and len(times) < 50):
            begun = time.perf_counter()
            run()
            times.append((time.perf_counter() - begun) * 1000)
        return figures(times)
    torch.cuda.synchronize()
    begun = time.perf_counter()
    run()
    torch.cuda.synchronize()
    once = time.perf_counter() - begun
    n = max(3, min(50, int(budget / max(once, 1e-5))))
    events = [torch.cuda.Event(enable_timing=True) for _ in range(n + 1)]
    events[0].record()
    for k in range(n):
        run()
        events[k + 1].record()
    torch.cuda.synchronize()
    return figures([events[k].elapsed_time(events[k + 1]) for k in range(n)])


def timed(name, library, variant, prepare, needs=5):
    if left() < needs:
        say(name, library=library, variant=variant, note="not reached")
        return
    try:
        say(name, library=library, variant=variant, **clock(prepare()))
    except Exception as error:  # whatever a library throws, the next variant is tried
        say(name, library=library, variant=variant, note=f"{type(error).__name__}: {error}"[:300])
    if torch and cuda:
        torch.cuda.empty_cache()


def ceilings():
    a = torch.randint(0, 256, (1 << 30,), dtype=torch.uint8, device="cuda")
    b = torch.empty_like(a)
    copy = 2 * a.numel() / (clock(lambda: b.copy_(a))["median_ms"] / 1000)
    x, y = (torch.randn(8192, 8192, dtype=torch.bfloat16, device="cuda") for _ in range(2))
    tensor = 2 * 8192**3 / (clock(lambda: x @ y)["median_ms"] / 1000)
    source = "measured with PyTorch in this run"
    print(json.dumps({"ceilings": {"copy": copy, "tensor": tensor, "source": source}}), flush=True)


if torch:

    class Block(nn.Sequential):
        def __init__(self, cin, cout):
            super().__init__(
                nn.Conv3d(cin, cout, 3, padding=1),
                nn.InstanceNorm3d(cout, affine=True),
                nn.LeakyReLU(0.01, inplace=True),
            )

    class UNet(nn.Module):
        """renvox's UNet3D of 16..256 channels."""

        def __init__(self, classes, channels=(16, 32, 64, 128, 256)):
            super().__init__()
            width, down = 1, []
            for c in channels:
                down.append(nn.Sequential(Block(width, c), Block(c, c)))
                width = c
            self.down = nn.ModuleList(down)
            up, side = [], []
            for c in reversed(channels[:-1]):
                up.append(nn.ConvTranspose3d(width, c, 2, stride=2))
                side.append(nn.Sequential(Block(2 * c, c), Block(c, c)))
                width = c
            self.up, self.side = nn.ModuleList(up), nn.ModuleList(side)
            self.head = nn.Conv3d(width, classes, 1)

        def forward(self, x):
            skips = []
            for level, block in enumerate(self.down):
                x = block(F.max_pool3d(x, 2) if level else x)
                skips.append(x)
            skips.pop()
            for up, side in zip(self.up, self.side):
                x = side(torch.cat([up(x), skips.pop()], 1))
            return self.head(x)

    class Basic(nn.Module):
        def __init__(self, cin, cout, stride, dilation):
            super().__init__()

            def conv(a, b, kernel, s, d):
                return nn.Conv3d(a, b, kernel, s, d * (kernel // 2), d, bias=False)

            self.one = nn.Sequential(conv(cin, cout, 3, stride, dilation), nn.BatchNorm3d(cout))
            self.two = nn.Sequential(conv(cout, cout, 3, 1, dilation), nn.BatchNorm3d(cout))
            self.short = (
                nn.Identity()
                if cin == cout and stride == 1
                else nn.Sequential(conv(cin, cout, 1, stride, 1), nn.BatchNorm3d(cout))
            )

        def forward(self, x):
            return F.relu(self.two(F.relu(self.one(x))) + self.short(x))

    class ResNet10(nn.Module):
        """MedicalNet's dilated form, as renvox's ResNet3D."""

        def __init__(self, classes):
            super().__init__()
            self.first = nn.Sequential(
                nn.Conv3d(1, 64, 7, 2, 3, bias=False),
                nn.BatchNorm3d(64),
                nn.ReLU(),
                nn.MaxPool3d(3, 2, 1),
            )
            self.stages = nn.Sequential(
                Basic(64, 64, 1, 1), Basic(64, 128, 2, 1), Basic(128, 256, 1, 2), Basic(256, 512, 1, 4)
            )
            self.head = nn.Sequential(nn.Linear(512, 128), nn.ReLU(), nn.Linear(128, classes))

        def forward(self, x):
            return self.head(self.stages(self.first(x)).mean((2, 3, 4)))


def network_of(name):
    return UNet(options["classes"]) if name.startswith("unet") else ResNet10(options["classes"])


def exact_products(on):
    """Whether f32 products are f32 throughout. cuDNN's default is TF32, whose operands have 10 bits, as fp16's."""
    torch.backends.cudnn.allow_tf32 = not on
    torch.backends.cuda.matmul.allow_tf32 = not on


def inference(row, layout, compiled, tf32=False):
    """`row`: as `unet forward 128^3 batch 4 bf16`. TF32 has a row of its own, for renvox's fp32 is exact."""
    batch, precision = int(row.split("batch ")[1].split()[0]), row.split()[-1]
    name = row.removesuffix("fp32") + "tf32" if tf32 else row

    def prepare():
        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[precision]
        device = "cuda" if cuda else "cpu"
        n = options["network"]
        exact_products(not tf32)
        net = network_of(name).to(device, dtype).eval()
        x = torch.randn(batch, 1, n, n, n, device=device, dtype=dtype)
        if layout == "channels_last_3d":
            net = net.to(memory_format=torch.channels_last_3d)
            x = x.to(memory_format=torch.channels_last_3d)
        f = torch.compile(net) if compiled else net

        def run():
            with torch.inference_mode():
                return f(x)

        return run

    variant = f"{layout} {'compiled' if compiled else 'eager'}"
    timed(name, "PyTorch", variant, prepare, needs=45 if compiled else 5)


def training(name, layout, compiled):
    def prepare():
        device = "cuda" if cuda else "cpu"
        n, classes = options["network"], options["classes"]
        net = network_of(name).to(device)
        x = torch.randn(1, 1, n, n, n, device=device)
        target = torch.randint(0, classes, (1, n, n, n), device=device)
        if layout == "channels_last_3d":
            net = net.to(memory_format=torch.channels_last_3d)
            x = x.to(memory_format=torch.channels_last_3d)
        adam = torch.optim.Adam(net.parameters(), lr=1e-9, fused=cuda)

        def loss_of(logits):
            logits = logits.float()
            p = torch.softmax(logits, 1)
            one = F.one_hot(target, classes).movedim(-1, 1).float()
            both, total = (p * one).sum((2, 3, 4)), p.sum((2, 3, 4)) + one.sum((2, 3, 4))
            return F.cross_entropy(logits, target) + 1 - (2 * both / (total + 1e-5)).mean()

        f = torch.compile(lambda x: loss_of(net(x))) if compiled else lambda x: loss_of(net(x))

        def run():
            adam.zero_grad(set_to_none=True)
            with torch.autocast(device, torch.bfloat16):
                loss = f(x)
            loss.backward()
            adam.step()

        return run

    variant = f"{layout} {'compiled' if compiled else 'eager'} autocast, fused Adam"
    timed(name, "PyTorch", variant, prepare, needs=60 if compiled else 5)


def resample(name, how):
    def prepare():
        device = "cuda" if cuda else "cpu"
        ct, n = options["ct"], options["network"]
        x = (torch.randn(1, 1, *ct, device=device) * 300).to(torch.int16)
        theta = torch.eye(3, 4, device=device)[None]

        def run():
            hu = ((x.float() + 120) / 300).clamp(0, 1)
            if how == "interpolate":
                return F.interpolate(hu, (n, n, n), mode="trilinear", align_corners=False)
            grid = F.affine_grid(theta, (1, 1, n, n, n), align_corners=False)
            return F.grid_sample(hu, grid, align_corners=False)

        return run

    timed(name, "PyTorch", how, prepare)


def resample_back(name, layout):
    def prepare():
        device = "cuda" if cuda else "cpu"
        ct, n = options["ct"], options["network"]
        x = torch.randn(1, 2, n, n, n, device=device)
        if layout == "channels_last_3d":
            x = x.to(memory_format=torch.channels_last_3d)

        def run():
            y = F.interpolate(x, tuple(ct), mode="trilinear", align_corners=False)
            return y.argmax(1).to(torch.uint8)

        return run

    timed(name, "PyTorch", f"interpolate + argmax, {layout}", prepare)


def load(file, shape):
    import numpy

    return numpy.fromfile(f"{options['folder']}/{file}.u8", dtype=numpy.uint8).reshape(shape)


def cupy_clock(run):
    """CuPy's work on PyTorch's stream, so that the same events time it."""
    import cupy

    if torch:
        with cupy.cuda.ExternalStream(torch.cuda.current_stream().cuda_stream):
            return clock(run)
    times = []
    for k in range(8):
        begin, end = cupy.cuda.Event(), cupy.cuda.Event()
        begin.record()
        run()
        end.record()
        end.synchronize()
        if k > 1:
            times.append(cupy.cuda.get_elapsed_time(begin, end))
    return figures(times)


def with_cupy(name, variant, prepare):
    if not cuda or left() < 5:
        return
    try:
        say(name, library="CuPy", variant=variant, **cupy_clock(prepare()))
    except Exception as error:
        say(name, library="CuPy", variant=variant, note=f"{type(error).__name__}: {error}"[:300])


def with_scipy(name, variant, prepare, needs):
    """On one core of the CPU: a single run."""
    if left() < needs:
        say(name, library="SciPy", variant=variant, note="not reached")
        return
    try:
        run = prepare()
        begun = time.perf_counter()
        run()
        took = (time.perf_counter() - begun) * 1000
        say(name, library="SciPy", variant=variant, median_ms=took, spread=0, n=1)
    except Exception as error:
        say(name, library="SciPy", variant=variant, note=f"{type(error).__name__}: {error}"[:300])


def components(name, library):
    connectivity = int(name.split()[1])
    data = load("noise", [options["network"]] * 3) if "noise" in name else load("a", options["ct"])

    def prepare(ndimage, array):
        structure = ndimage.generate_binary_structure(3, {6: 1, 18: 2, 26: 3}[connectivity])
        return lambda: ndimage.label(array, structure=structure)

    if library == "CuPy":

        def on_gpu():
            import cupy
            import cupyx.scipy.ndimage as ndimage

            return prepare(ndimage, cupy.asarray(data))

        with_cupy(name, "cupyx.scipy.ndimage.label", on_gpu)
    else:

        def on_cpu():
            import scipy.ndimage as ndimage

            return prepare(ndimage, data)

        with_scipy(name, "ndimage.label", on_cpu, 10)


def distances(name, library):
    data = load("a", options["ct"]) == 0
    spacing = options["spacing"]
    if library == "CuPy":

        def on_gpu():
            import cupy

            try:
                from cupyx.scipy.ndimage import distance_transform_edt as edt
            except ImportError:
                from cucim.core.operations.morphology import distance_transform_edt as edt
            array = cupy.asarray(data)
            return lambda: edt(array, sampling=spacing)

        with_cupy(name, "distance_transform_edt", on_gpu)
    else:

        def on_cpu():
            import scipy.ndimage as ndimage

            return lambda: ndimage.distance_transform_edt(data, sampling=spacing)

        with_scipy(name, "distance_transform_edt", on_cpu, 60)


def overlap(name):
    def prepare():
        device = "cuda" if cuda else "cpu"
        a, b = (torch.from_numpy(load(f, options["ct"])).to(device).flatten() for f in "ab")
        return lambda: torch.bincount(a.int() * 3 + b.int(), minlength=9)

    timed(name, "PyTorch", "bincount", prepare)


def each(prefix):
    return [name for name in names if name.startswith(prefix)]


def forward(precision, network=""):
    return [n for n in each(network) if " forward " in n and n.endswith(precision)]


LAST, FIRST = "channels_last_3d", "contiguous"


def jobs():
    """What to time, what matters most first; a compiled variant is passed over where less than its 45 s are left."""
    if torch:
        for compiled in (False, True) if cuda else (False,):
            for row in forward("bf16", "unet"):
                yield inference, row, LAST, compiled
        for row in forward("bf16", "resnet10"):
            yield inference, row, LAST, False
        for name in each("unet training"):
            yield training, name, LAST, False
        for name in each("resample"):
            back = "back" in name
            for how in (LAST, FIRST) if back else ("interpolate", "grid_sample"):
                yield resample_back if back else resample, name, how
        for name in each("overlap"):
            yield overlap, name
    for name in each("components"):
        yield components, name, "CuPy"
    for name in each("distance"):
        yield distances, name, "CuPy"
    if torch:
        for row in forward("fp32"):
            yield inference, row, LAST, False
            yield inference, row, LAST, False, True
        for row in forward("fp16"):
            yield inference, row, LAST, False
        for row in forward("bf16") + forward("fp16") + forward("fp32"):
            yield inference, row, FIRST, False
        for name in each("unet training"):
            yield training, name, FIRST, False
    if torch and cuda:
        for name in each("unet training"):
            yield training, name, LAST, True
        for row in forward("bf16", "resnet10") + forward("fp16"):
            yield inference, row, LAST, True
        for row in forward("bf16"):
            yield inference, row, FIRST, True
        for name in each("unet training"):
            yield training, name, FIRST, True
        for row in forward("fp16"):
            yield inference, row, FIRST, True
    for name in each("components"):
        yield components, name, "SciPy"
    for name in each("distance"):
        yield distances, name, "SciPy"


if torch:
    torch.backends.cudnn.benchmark = True
    if cuda:
        try:
            ceilings()
        except Exception as error:
            say("ceilings", note=f"{type(error).__name__}: {error}"[:300])
for job, *arguments in jobs():
    job(*arguments)
