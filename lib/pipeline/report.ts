/** The report of an analysis: a contract that other tools read. Keys are snake_case; what is not known is null. */

import type { Volume } from '../volume/index.js';
import {
  type Finding,
  type KidneyFinding,
  MASS_CLASSES,
  type MassFinding,
  type Timings,
} from './finding.js';
import type { Enhancement, Intensities, Spread } from './intensities.js';

export const DISCLAIMER =
  'Research software. Not a medical device, not for clinical use. The networks were trained on synthetic phantoms only.';

/** Version of the report's layout. */
export const REPORT_SCHEMA = 1;

interface KidneyReport {
  voxels: number;
  volume_ml: number;
  centroid_lps_mm: [number, number, number] | null;
}

/** Fat is below -20 HU, calcification above 130 HU. */
interface HuReport extends Spread {
  fat_fraction: number | null;
  calcified_fraction: number | null;
}

/** HU by which the later phase is above the earlier; fractions: of voxels that change by more than 20 HU. */
interface EnhancementReport extends Spread {
  /** In the direction of the median. The line of Bosniak 2019 between cystic and solid is 0.25. */
  enhancing_fraction: number | null;
  /** The other way: noise does as much to either side. */
  opposite_fraction: number | null;
}

export interface Report {
  schema_version: number;
  package_version: string;
  commit: string | null;
  input: {
    sha256: string | null;
    /** Voxels and mm in the file's axis order. */
    shape: number[];
    spacing_mm: number[];
    /** The letters toward which each axis of the file increases. */
    orientation: string;
    /** Its contrast phase; null where it was not said. */
    phase: string | null;
  };
  device: string;
  precision: string;
  weights: { name: string; sha256: string }[];
  kidneys: { left: KidneyReport; right: KidneyReport };
  masses: {
    id: number;
    side: string;
    class: string;
    probabilities: { aml: number; cystic: number; solid: number };
    voxels: number;
    volume_ml: number;
    average_diameter_mm: number;
    max_diameter_mm: number;
    centroid_lps_mm: [number, number, number];
    /** Of all of the mass. */
    hu: HuReport;
    /** Of the mass without its border. */
    hu_core: HuReport;
    /** In the second phase; null without one, or where the mass leaves its field of view. */
    hu_phase: HuReport | null;
    hu_phase_core: HuReport | null;
    enhancement: EnhancementReport | null;
    enhancement_core: EnhancementReport | null;
    /** A rule on these figures, beside the class above, never instead of it. */
    second_opinion: {
      class: string | null;
      /** Null where the rule has no class. */
      agrees: boolean | null;
      judged: string;
      because: string;
    };
    /** Share of Grad-CAM's map in the mass; only where Grad-CAM was asked for. */
    grad_cam?: { overlap: number | null };
  }[];
  masses_truncated: boolean;
  /** The second phase; null without one. */
  phase: { name: string; sha256: string | null } | null;
  /** What a reader should know before the figures: what is no CT or one shorter than a kidney, masses that the second phase does not show. */
  warnings: string[];
  /** How gradcam.nii.gz was made; only where Grad-CAM was asked for. */
  grad_cam?: { method: string; layer: string; layer_shape: number[] };
  timings_s: Timings;
  disclaimer: string;
}

/** Makes the report of a finding on a CT. */
export function makeReport(
  ct: Volume,
  finding: Finding,
  software: { version: string; commit: string | null },
): Report {
  return {
    schema_version: REPORT_SCHEMA,
    package_version: software.version,
    commit: software.commit,
    input: {
      sha256: ct.sha256 ?? null,
      shape: ct.fileShape,
      spacing_mm: ct.fileSpacing,
      orientation: ct.orientation,
      phase: finding.ownPhase,
    },
    device: finding.provenance.device,
    precision: finding.provenance.precision,
    weights: finding.provenance.weights,
    kidneys: { left: kidney(finding.kidneys.left), right: kidney(finding.kidneys.right) },
    masses: finding.masses.map((m) => ({
      id: m.id,
      side: m.side,
      class: m.class,
      probabilities: m.probabilities,
      voxels: m.voxels,
      volume_ml: m.volumeMl,
      average_diameter_mm: m.averageDiameterMm,
      max_diameter_mm: m.maxDiameterMm,
      centroid_lps_mm: m.centroidLpsMm,
      hu: hu(m.intensities),
      hu_core: hu(m.coreIntensities),
      hu_phase: m.phaseIntensities && hu(m.phaseIntensities),
      hu_phase_core: m.corePhaseIntensities && hu(m.corePhaseIntensities),
      enhancement: enhancement(m.enhancement),
      enhancement_core: enhancement(m.coreEnhancement),
      second_opinion: opinion(m),
      ...(m.gradCam ? { grad_cam: { overlap: m.gradCam.overlap } } : {}),
    })),
    masses_truncated: finding.truncated,
    phase: finding.phase,
    warnings: finding.warnings,
    ...(finding.gradCam
      ? {
          grad_cam: {
            method: finding.gradCam.method,
            layer: finding.gradCam.layer,
            layer_shape: finding.gradCam.layerShape,
          },
        }
      : {}),
    timings_s: finding.timings,
    disclaimer: DISCLAIMER,
  };
}

function kidney(k: KidneyFinding): KidneyReport {
  return { voxels: k.voxels, volume_ml: k.volumeMl, centroid_lps_mm: k.centroidLpsMm };
}

function hu({ fatFraction, calcifiedFraction, ...rest }: Intensities): HuReport {
  return { ...rest, fat_fraction: fatFraction, calcified_fraction: calcifiedFraction };
}

function enhancement(change: Enhancement | null): EnhancementReport | null {
  if (!change) return null;
  const { enhancingFraction, oppositeFraction, ...rest } = change;
  return { ...rest, enhancing_fraction: enhancingFraction, opposite_fraction: oppositeFraction };
}

function opinion({ class: name, secondOpinion: second }: MassFinding) {
  const agrees = second.class === null ? null : second.class === name;
  return { class: second.class, agrees, judged: second.judged, because: second.because };
}

const CLASS_NAMES = { aml: 'AML', cystic: 'cystic', solid: 'solid' } as const;

/** The report for people: a few lines. */
export function reportText(report: Report): string {
  const lines: string[] = [];
  for (const side of ['left', 'right'] as const) {
    const k = report.kidneys[side];
    const name = `${side} kidney`.padEnd(14);
    lines.push(
      k.voxels > 0 ? `${name}${k.volume_ml.toFixed(0).padStart(4)} mL` : `${name}not found`,
    );
  }
  if (report.masses.length === 0) lines.push('no masses found');
  for (const m of report.masses) {
    const p = MASS_CLASSES.map((c) => `${CLASS_NAMES[c]} ${m.probabilities[c].toFixed(2)}`).join(
      ', ',
    );
    lines.push(
      `mass ${m.id}: ${m.side}, ${CLASS_NAMES[m.class as keyof typeof CLASS_NAMES]}, ${m.average_diameter_mm.toFixed(1)} mm (longest ${m.max_diameter_mm.toFixed(1)} mm), ${m.volume_ml.toFixed(2)} mL; ${p}`,
    );
  }
  for (const m of report.masses)
    if (m.second_opinion.agrees === false)
      lines.push(
        `mass ${m.id}: by the rule on HU it would be ${CLASS_NAMES[m.second_opinion.class as keyof typeof CLASS_NAMES]}: ${m.second_opinion.because}`,
      );
  if (report.masses_truncated)
    lines.push('one side has more masses than are told apart; the smallest were left out');
  lines.push(report.disclaimer);
  return lines.join('\n');
}
