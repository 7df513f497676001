// lesions.csv: round trip, and every kind of wrong field named with its line.

import { isRenvoxError } from 'renvox';
import { formatLesions, type Lesion, parseLesions } from 'renvox/evaluate';
import t from 'tap';
import { parseCsv } from '#lib/evaluate/csv.js';

const HEADER =
  'case,patient,side,status,truth_class,predicted_class,average_diameter_mm,dice,p_aml,p_cystic,p_solid';

t.test('round trip', async (t) => {
  const lesions: Lesion[] = [
    {
      ...{ case: 'a "quoted", name', patient: 'p', side: 'left', status: 'TP' },
      ...{
        truthClass: 'aml',
        predictedClass: 'solid',
        averageDiameterMm: 1 / 3,
        dice: 0.123456789,
      },
      probabilities: [0.1, 0.2, 0.7],
    },
    {
      ...{ case: 'b', patient: 'b', side: null, status: 'FP', truthClass: null },
      ...{ predictedClass: null, averageDiameterMm: null, dice: null, probabilities: null },
    },
  ];
  t.same(parseLesions(formatLesions(lesions), 'x.csv'), lesions);
});

t.test('class on true contours: a column where it is known', async (t) => {
  const common = { patient: 'p', side: null, averageDiameterMm: 1, dice: null } as const;
  const lesions: Lesion[] = [
    {
      ...{ ...common, case: 'a', status: 'FN', truthClass: 'aml', predictedClass: null },
      ...{ probabilities: null, classOnTruth: 'solid' },
    },
    {
      ...{ ...common, case: 'b', status: 'FN', truthClass: 'aml', predictedClass: null },
      ...{ probabilities: null, classOnTruth: null },
    },
    {
      ...{ ...common, case: 'c', status: 'FN', truthClass: 'aml', predictedClass: null },
      probabilities: null,
    },
  ];
  const text = formatLesions(lesions);
  t.equal(text.split('\n')[0], `${HEADER},class_on_truth`);
  t.match(text, /,solid\n.*,none\n.*,\n/);
  t.same(parseLesions(text, 'x.csv'), lesions);
  const scored = lesions.map((l) => ({ ...l, status: 'FP', truthClass: null }) as const);
  const [first, second] = scored.map(({ classOnTruth: _, ...l }, i) => ({ ...l, score: -i })) as [
    Lesion,
    Lesion,
  ];
  t.equal(formatLesions([first]).split('\n')[0], `${HEADER},score`);
  t.same(parseLesions(formatLesions([first, second]), 'x.csv')[1], second, "a detector's score");
});

t.test('columns in any order, others beside them, CRLF, byte order mark, no patient', async (t) => {
  const columns = `extra,${HEADER.split(',').reverse().join(',')}`;
  const [found] = parseLesions(`\ufeff${columns}\r\n!,,,,,,,,FN,right,,c1\r\n\r\n`, 'x.csv');
  t.match(found, { case: 'c1', patient: 'c1', side: 'right', status: 'FN' });
});

const wrong: [string, string, RegExp][] = [
  ['no column', 'case,patient\na,b\n', /side,status.*missing/],
  ['a column twice', `${HEADER},case\n`, /named twice/],
  ['short row', `${HEADER}\na,b\n`, /line 2: expected 11 fields but found 2/],
  ['open quote', `${HEADER}\n"a,b\n\n`, /line 2: a quoted field does not end/],
  ['status', `${HEADER}\na,p,left,tp,,,,,,,\n`, /line 2: expected TP or FP or FN for status/],
  ['no status', `${HEADER}\na,p,left,,,,,,,,\n`, /status/],
  ['side', `${HEADER}\na,p,LEFT,TP,,,,,,,\n`, /left or right for side/],
  ['class', `${HEADER}\na,p,,TP,rcc,,,,,,\n`, /aml or cystic or solid for truth_class/],
  ['diameter', `${HEADER}\na,p,,TP,,,-1,,,,\n`, /mm for average_diameter_mm but found "-1"/],
  ['score', `${HEADER},score\na,p,,FN,,,,,,,,1\n`, /nothing \(the row is a FN\) for score/],
  ['dice', `${HEADER}\na,p,,TP,,,,1.01,,,\n`, /0 to 1 for dice/],
  ['infinity', `${HEADER}\na,p,,TP,,,Infinity,,,,\n`, /average_diameter_mm/],
  ['a FN with a Dice', `${HEADER}\na,p,,FN,,,,0.5,,,\n`, /nothing \(the row is a FN\) for dice/],
  ['a FP with a Dice', `${HEADER}\na,p,,FP,,,,0.5,,,\n`, /nothing \(the row is a FP\) for dice/],
  ['a FN with probabilities', `${HEADER}\na,p,,FN,,,,,0,0,1\n`, /the row is a FN\) for p_aml/],
  ['impossible probabilities', `${HEADER}\na,p,,TP,,,,,0.9,0.9,0.9\n`, /line 2: .* add up to 1/],
  ['two of three', `${HEADER}\na,p,,TP,,,,,0.5,0.5,\n`, /all three probabilities/],
  ['a FP with truth', `${HEADER}\na,p,,FP,aml,,,,,,\n`, /the row is a FP/],
  ['a FN with a call', `${HEADER}\na,p,,FN,aml,aml,,,,,\n`, /the row is a FN/],
  ['a FP on its true contours', `${HEADER},class_on_truth\na,p,,FP,,,,,,,,aml\n`, /class_on_truth/],
  [
    'class on true contours',
    `${HEADER},class_on_truth\na,p,,FN,aml,,,,,,,cyst\n`,
    /aml or cystic or solid or none for class_on_truth/,
  ],
  ['no case', `${HEADER}\n,p,,FN,aml,,,,,,\n`, /name for case/],
  ['empty file', '', /missing/],
];
for (const [name, text, message] of wrong)
  t.test(`wrong: ${name}`, async (t) => {
    try {
      parseLesions(text, 'x.csv');
      t.fail('expected an error');
    } catch (error) {
      t.ok(isRenvoxError(error, 'InvalidFile'), String(error));
      t.match((error as Error).message, message);
    }
  });

t.test('a quoted field over lines', async (t) => {
  t.same(
    parseCsv('a,b\n"x\ny","z""z"\n1,2', 'f', []).map((row) => [row.line, row.fields]),
    [
      [2, { a: 'x\ny', b: 'z"z' }],
      [4, { a: '1', b: '2' }],
    ],
  );
});
