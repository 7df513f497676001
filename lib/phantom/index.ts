/** Phantoms: seeded abdomens with kidneys, masses and known truth. */
export { type Abdomen, type AbdomenOptions, drawAbdomen } from './abdomen.js';
export { type MassClass, type MassPlan, massClasses } from './anatomy/masses.js';
export { type Phase, phases } from './palette.js';
export { renderAbdomen } from './render.js';
