/** The diameters that a mass is said to have, by name: reports, guidelines and papers do not mean the same one. */
import { invalidArgument } from '../errors.js';

/**
 * An average diameter, mm:
 * - `sphere`: of the sphere of the same volume, (6 V / pi)^(1/3): the "effective diameter" of volumetry (Larici et al. 2017, doi
 *   10.1183/16000617.0025-2017). Default of `renvox evaluate` and of findings.
 * - `axial`: mean of the long axis on the axial slice where that is longest and of the extent perpendicular to it on the same slice: the
 *   two diameters of the WHO criteria (Miller et al. 1981, doi 10.1002/1097-0142(19810101)47:1<207::AID-CNCR2820470134>3.0.CO;2-6), whose
 *   longer one is RECIST's (Eisenhauer et al. 2009, doi 10.1016/j.ejca.2008.10.026). Averaging them is the Fleischner Society's rule for
 *   nodules (MacMahon et al. 2017, doi 10.1148/radiol.2017161659).
 * - `box`: mean of the three extents of the bounding box along d, h and w: how a mass is described by its three measurements.
 *
 * All three span whole voxels, edge to edge as a caliper does, so that no mass has the diameter 0.
 */
export type DiameterName = 'sphere' | 'axial' | 'box';

export const DIAMETERS = ['sphere', 'axial', 'box'] as const satisfies readonly DiameterName[];

/** @throws RenvoxError InvalidArgument */
export function checkDiameter(name: unknown): asserts name is DiameterName {
  if (!(DIAMETERS as readonly unknown[]).includes(name))
    throw invalidArgument('diameter', DIAMETERS.join(' or '), name);
}

/** Average diameter of what has a volume in mL: that of the sphere of this volume, mm. */
export function sphereDiameterMm(volumeMl: number): number {
  return Math.cbrt((6000 * volumeMl) / Math.PI);
}
