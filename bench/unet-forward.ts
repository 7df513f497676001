/** Child of unet.bench.ts: one form of the forward pass, its figures as JSON on stdout. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { device, scope } from 'renvox';
import { UNet3D } from 'renvox/nn';

const [form] = process.argv.slice(2);
const d = device('cpu');
const net = new UNet3D(
  { inputChannels: 1, classes: 2, channels: [16, 32, 64, 128, 256] },
  { device: d },
);
const x = d.full([1, 128, 128, 128, 1], 0.5);
await d.drain();
const before = process.memoryUsage().rss;
const delay = monitorEventLoopDelay({ resolution: 2 });
delay.enable();
const begun = performance.now();
const y = form === 'infer' ? net.infer(x) : scope(() => net.forward(x));
await d.drain();
const seconds = (performance.now() - begun) / 1000;
delay.disable();
y.dispose();
console.log(
  JSON.stringify({
    seconds,
    peak_rss_mb: process.resourceUsage().maxRSS / 1024,
    rss_before_mb: before / 2 ** 20,
    device_peak_mb: d.memory.peak / 2 ** 20,
    // The sampler's own period is part of what it reports.
    event_loop_delay_p99_ms: delay.percentile(99) / 1e6 - 2,
  }),
);
