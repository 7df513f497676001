import { scope, type Tensor } from 'renvox';
import {
  type GradCamMethod,
  gradCam,
  ResNet3D,
  type ResNet3DForwardOptions,
  UNet3D,
} from 'renvox/nn';
import t from 'tap';
import {
  onEveryDevice,
  ReferenceCount,
  sameBits,
  simulated,
  torchTensors,
} from '../ops/harness.js';
import { Fixture } from './fixture.js';

const references = new ReferenceCount(t);
const widths = [8, 16, 32, 64];

/**
 * By the direct algorithm. Gradients jump where a ReLU's input passes zero, and this fixture has one at 4e-7 (dilated, layer3): Winograd's
 * rounding in the first layer puts it on the other side, and maps of earlier layers move by up to 3e-3.
 */
class Direct extends ResNet3D {
  override features(x: Tensor, options: ResNet3DForwardOptions = {}): Tensor {
    return super.features(x, { ...options, algorithm: 'direct' });
  }
}

onEveryDevice(t, "PyTorch's maps of any layer, by both methods", async (tap, device) => {
  const fixture = new Fixture('resnet10_narrow');
  const maps = torchTensors('gradcam');
  for (const geometry of ['dilated', 'strided'] as const) {
    using net = new ResNet3D({ classes: 3, widths, geometry, hidden: 16 }, { device });
    using direct = new Direct({ classes: 3, widths, geometry, hidden: 16 }, { device });
    for (const each of [net, direct]) each.load(fixture.weights(device, '', each.shapes.keys()));
    using x = fixture.image(device, 'input');
    // The study's last layer, each class: the fixture of the project.
    const simulatedDevice = simulated(device);
    for (const classIndex of simulatedDevice ? [1] : [0, 1, 2]) {
      using map = gradCam(net, x, { classIndex });
      const expected = fixture.get(`${geometry}/gradcam_${classIndex}`);
      tap.same(map.shape, [...expected.shape, 1]);
      references.compare(tap, await map.data(), expected.data, 1e-4, `${geometry}, ${classIndex}`);
    }
    // Other layers, class 1, and Grad-CAM++: test/fixtures/torch/gradcam.py.
    for (const [name, expected] of maps) {
      const [of, layer = '', method] = name.split('/');
      // Gradients are slow to simulate: two of the small maps show that the device takes part.
      if (of !== geometry || (simulatedDevice && !/strided.layer3/.test(name))) continue;
      using map = gradCam(direct, x, { classIndex: 1, layer, method: method as GradCamMethod });
      tap.same(map.shape, [1, ...expected.shape, 1], name);
      references.compare(tap, await map.data(), expected.data, 1e-4, name);
    }
  }
});

onEveryDevice(t, 'layers, their strides, the same bits twice', async (tap, device) => {
  for (const geometry of ['dilated', 'strided'] as const) {
    // Taps far apart are slow to simulate.
    if (geometry === 'dilated' && simulated(device)) continue;
    using net = new ResNet3D({ classes: 3, widths: [2, 3, 4, 5], geometry }, { device });
    using x = device.full([1, 32, 33, 40, 1], 0.5);
    const seen: string[] = [];
    scope(() => {
      net.features(x, {
        tap: (layer, y) => {
          seen.push(layer);
          const stride = net.layerStride(layer);
          const size = [32, 33, 40].map((n) => Math.ceil(n / stride));
          tap.same(y.shape.slice(1, 4), size, `${geometry} ${layer}: every ${stride} voxels`);
          return y;
        },
      });
    });
    tap.same(seen, ResNet3D.LAYERS);
    using first = gradCam(net, x, { classIndex: 2, layer: 'layer2', method: 'grad-cam++' });
    using again = gradCam(net, x, { classIndex: 2, layer: 'layer2', method: 'grad-cam++' });
    sameBits(tap, await first.data(), await again.data(), geometry);
    await device.drain();
    const { live } = device.memory;
    gradCam(net, x, { classIndex: 0 }).dispose();
    await device.drain();
    tap.equal(device.memory.live, live, 'nothing is left behind');
  }
});

t.test('what does not fit is refused', async (tap) => {
  const net = new ResNet3D({ classes: 3, widths: [1, 1, 1, 1] });
  using x = net.device.full([1, 8, 8, 8, 1]);
  using two = net.device.full([2, 8, 8, 8, 1]);
  const refused = (options: object, code: string, image = x) =>
    tap.throws(() => gradCam(net, image, { classIndex: 0, ...options }), { code });
  refused({ classIndex: 3 }, 'InvalidArgument');
  refused({ classIndex: 0.5 }, 'InvalidArgument');
  refused({ layer: 'layer5' }, 'InvalidArgument');
  refused({ method: 'cam' }, 'InvalidArgument');
  refused({}, 'ShapeMismatch', two);
  const unet = new UNet3D({ inputChannels: 1, classes: 2, channels: [1, 1] });
  tap.throws(() => gradCam(unet as unknown as ResNet3D, x, { classIndex: 0 }), {
    code: 'InvalidArgument',
  });
  unet.dispose();
  net.dispose();
});
