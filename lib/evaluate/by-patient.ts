/** What belongs to each patient, patients in the order in which they first come: what intervals are drawn from. */
export function byPatient<T>(items: readonly T[], patientOf: (item: T) => string): T[][] {
  const patients = new Map<string, T[]>();
  for (const item of items) {
    const patient = patientOf(item);
    const own = patients.get(patient);
    if (own) own.push(item);
    else patients.set(patient, [item]);
  }
  return [...patients.values()];
}
