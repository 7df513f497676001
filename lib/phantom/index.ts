/** Phantoms: seeded abdomens with kidneys, masses and known truth. */
export type { MassClass, MassKind, MassPlan } from './anatomy/masses.js';
export { type Phase, phases } from './palette.js';
export { type Phantom, type PhantomOptions, phantom } from './phantom.js';
export type { Extent, PhantomMass } from './truth.js';
