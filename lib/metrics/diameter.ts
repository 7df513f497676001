/** Average diameter of what has a volume in mL: that of the sphere of this volume, mm. */
export function sphereDiameterMm(volumeMl: number): number {
  return Math.cbrt((6000 * volumeMl) / Math.PI);
}
