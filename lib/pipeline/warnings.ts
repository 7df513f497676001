/** What a reader should know before the figures of a finding. */
import { ctSpan, LEAST_CT_SPAN } from '../volume/ct.js';
import type { Volume } from '../volume/index.js';
import { headToFoot } from './body.js';
import type { Finding } from './finding.js';

/** Sentences on what is no CT, lies nowhere or is shorter than a kidney, and on masses that the second phase does not show. */
export function warningsOf(ct: Volume, finding: Pick<Finding, 'phase' | 'masses'>): string[] {
  return [...doubtsOf(ct), ...doubtsOfPhase(ct, finding)];
}

/** mm from head to foot below which a CT surely cuts both kidneys, which are 90 to 130 mm long. */
const LEAST_COVERAGE = 80;

function doubtsOf(ct: Volume): string[] {
  const doubts: string[] = [];
  if (ct.affineSource === 'pixdim')
    doubts.push(
      'the file has no affine (neither sform nor qform): left and right, head and foot are an assumption, and a CT that lies otherwise shows no kidneys',
    );
  const span = ctSpan(ct);
  if (!(span >= LEAST_CT_SPAN))
    doubts.push(
      `the values are ${span} HU apart, those of a CT at least ${LEAST_CT_SPAN}: is it a label map, or empty?`,
    );
  const mm = headToFoot(ct);
  if (mm < LEAST_COVERAGE)
    doubts.push(
      `the CT covers ${Number(mm.toPrecision(3))} mm from head to foot, less than a kidney is long: kidneys are cut, and what lies in few slices may be missed`,
    );
  return doubts;
}

function doubtsOfPhase(ct: Volume, { phase, masses }: Pick<Finding, 'phase' | 'masses'>): string[] {
  if (!phase) return [];
  if (phase.sha256 !== null && phase.sha256 === ct.sha256)
    return [`the second phase (${phase.name}) is the CT itself, so nothing enhances`];
  const outside = masses.filter((m) => !m.phaseIntensities).map((m) => m.id);
  if (outside.length === 0) return [];
  if (outside.length < masses.length)
    return [
      `mass ${outside.join(', ')}: not wholly in the field of view of the second phase (${phase.name}), so nothing is said of enhancement, and the class is of what one phase shows`,
    ];
  return [
    `no mass lies in the field of view of the second phase (${phase.name}), so nothing is said of enhancement, and the class is of what one phase shows: is it the same patient in the same position?`,
  ];
}
