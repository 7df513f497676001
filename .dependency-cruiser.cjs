// The rooms of lib/, top to bottom: a room imports only from rooms below it. `npm run lint` checks it.
const rooms = [
  'cli',
  'report',
  'study',
  'evaluate',
  'train',
  'pipeline',
  'phantom',
  'metrics',
  'volume',
  'onnx',
  'nn',
  'autograd',
  'ops',
];
// Below all rooms lie the files of lib/ itself (tensor, device, native, errors); above all but cli lies lib/index.ts.
const index = '^lib/index\\.ts$';

const downward = rooms.slice(1).map((room, above) => ({
  name: `${room}-imports-down`,
  comment: `lib/${room}/ may not import from the rooms above it`,
  severity: 'error',
  from: { path: `^lib/${room}/` },
  to: { path: [`^lib/(${rooms.slice(0, above + 1).join('|')})/`, index] },
}));

module.exports = {
  forbidden: [
    ...downward,
    {
      name: 'base-imports-no-room',
      comment: 'tensor, device, native and errors know no room',
      severity: 'error',
      from: { path: '^lib/[^/]+\\.ts$', pathNot: index },
      to: { path: ['^lib/[^/]+/', index] },
    },
    {
      name: 'library-without-cli',
      comment: 'the library does not know its command line',
      severity: 'error',
      from: { path: index },
      to: { path: '^lib/cli/' },
    },
    {
      name: 'room-is-known',
      comment: 'a new folder of lib/ is entered in the list above, at its height',
      severity: 'error',
      from: { path: '^lib/' },
      to: { path: '^lib/[^/]+/', pathNot: `^lib/(${rooms.join('|')})/` },
    },
    {
      name: 'no-cycles',
      comment: 'files that need each other at run time are one idea',
      severity: 'error',
      from: { path: '^lib/' },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'native-alone-loads-the-addon',
      comment: 'lib/native.ts is the one border with the addon',
      severity: 'error',
      from: { path: '^lib/', pathNot: '^lib/native\\.ts$' },
      to: { path: '(^|node_modules/)node-gyp-build' },
    },
    {
      name: 'no-development-packages',
      comment: 'what users run may not need what only developers install',
      severity: 'error',
      from: { path: '^lib/' },
      to: {
        dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'],
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'resolvable',
      comment: 'every import is there',
      severity: 'error',
      from: { path: '^lib/' },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
