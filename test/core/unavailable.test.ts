// Why there is no CUDA device: what DeviceUnavailable says for each code of CUDA, and that an opening that failed is tried again. The driver
// is the simulated one, whose openings fail as RENVOX_SIM_OPEN lists them.

import t from 'tap';
import { native } from '#lib/native.js';
import { program } from './child.js';

const noKernels =
  'this build has no kernels for Tesla P4 (compute capability 6.1); build it for this chip: npm run build:native';

/** Code, and the driver's version where it is not 13.0; what is said. */
const failures: [string, string][] = [
  ['35/0', 'this machine has no NVIDIA driver'],
  ['100/0', 'this machine has no NVIDIA driver'],
  [
    '35/12040',
    'the NVIDIA driver supports CUDA 12.4 and this build needs CUDA 13.0: update the driver',
  ],
  ['100', 'the NVIDIA driver finds no GPU'],
  ['98', noKernels],
  ['209', noKernels],
  ['218', noKernels],
  ['222', noKernels],
  ['2', 'simulated error (CUDA error 2)'],
  ['46', 'simulated error (CUDA error 46)'],
];

const child = `
  import { native } from '#lib/native.js';
  const said = [];
  for (let opened = false; !opened && said.length < 100; )
    try {
      native().createDevice('cuda-sim');
      opened = true;
    } catch ({ code, message }) {
      said.push([code, message]);
    }
  console.log(JSON.stringify(said));
`;

if (!native().simulator) t.pass('no simulated GPU in this build');
else
  t.test('the reasons', async (t) => {
    // The first opening is that of the addon itself, which asks whether there is a simulated GPU.
    process.env.RENVOX_SIM_OPEN = ['2', ...failures.map(([code]) => code)].join();
    const { code, stdout, stderr } = await program(child);
    delete process.env.RENVOX_SIM_OPEN;
    t.equal(code, 0, stderr);
    t.strictSame(
      JSON.parse(stdout),
      failures.map(([, text]) => ['DeviceUnavailable', `No CUDA device: ${text}`]),
    );
  });
