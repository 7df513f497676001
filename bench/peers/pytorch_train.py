"""PyTorch as the peer of bench/train-step.bench.ts: one training step of the U-Net of a renvox weights file, on the CPU.

python3 pytorch_train.py '{"weights", "input", "target", "shape", "threads", ...}' (bench/train/ours.ts) and then lines on stdin (serve.py).
"""

import json
import struct
import sys
import time

import numpy
import torch
import torch.nn.functional as F
from serve import serve

options = json.loads(sys.argv[1])
torch.set_num_threads(options["threads"])


def read_safetensors(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    arrays = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        arrays[name] = numpy.frombuffer(data[begin:end], numpy.float32).reshape(entry["shape"]).copy()
    return json.loads(header["__metadata__"]["architecture"])["config"], arrays


config, arrays = read_safetensors(options["weights"])
assert config["norm"] == "instance" and config["convolutionBias"]
parameters = {name: torch.from_numpy(array).requires_grad_() for name, array in arrays.items()}
classes = config["classes"]
x = torch.from_numpy(numpy.fromfile(options["input"], numpy.float32).reshape(options["shape"])).unsqueeze(1)
target = torch.from_numpy(numpy.fromfile(options["target"], numpy.uint8).reshape(options["shape"])).long()
one_hot = F.one_hot(target, classes).movedim(-1, 1).float()[:, 1:]


def block(x, name):
    y = F.conv3d(x, parameters[name + ".conv.weight"], parameters[name + ".conv.bias"], padding=1)
    y = F.instance_norm(y, weight=parameters[name + ".norm.weight"], bias=parameters[name + ".norm.bias"], eps=1e-5)
    return F.leaky_relu(y, config["slope"], inplace=True)


def blocks(x, stem, count):
    for i in range(count):
        x = block(x, f"{stem}.{i}")
    return x


def forward(x):
    skips = []
    for level in range(len(config["channels"])):
        x = blocks(F.max_pool3d(x, 2) if level else x, f"encoder.{level}", config["convolutions"]["encoder"])
        skips.append(x)
    skips.pop()
    for k in range(len(skips)):
        up = F.conv_transpose3d(x, parameters[f"up.{k}.weight"], parameters[f"up.{k}.bias"], stride=2)
        x = blocks(torch.cat([up, skips.pop()], 1), f"decoder.{k}", config["convolutions"]["decoder"])
    return F.conv3d(x, parameters["head.weight"], parameters["head.bias"])


def loss_of(logits):
    p = torch.softmax(logits, 1)[:, 1:]
    both, total = (p * one_hot).sum((2, 3, 4)), p.sum((2, 3, 4)) + one_hot.sum((2, 3, 4))
    dice = (2 * both + 1e-5) / (total + 1e-5)
    return F.cross_entropy(logits, target) + 1 - dice.mean()


def step_in(layout):
    form = torch.channels_last_3d if layout == "channels_last" else torch.contiguous_format
    image = x.contiguous(memory_format=form)
    # In place, so that the optimiser has them.
    for p in parameters.values():
        if p.dim() == 5:
            p.data = p.data.contiguous(memory_format=form)
    adam = torch.optim.Adam(parameters.values(), lr=options["learningRate"])

    def run():
        adam.zero_grad(set_to_none=True)
        loss = loss_of(forward(image))
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters.values(), options["clip"])
        adam.step()
        return loss.item(), norm.item()

    return run


def seconds_of(layout):
    run = step_in(layout)
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


# Which layout is faster depends on version and processor: the better one is measured.
layout = min(["contiguous", "channels_last"], key=seconds_of)


def compare(result, path):
    """The larger relative difference of loss and gradient norm."""
    ours = numpy.fromfile(path, numpy.float32)
    return max(abs(a - b) / abs(b) for a, b in zip(ours, result))


serve(step_in(layout), compare, version=torch.__version__, layout=layout)
