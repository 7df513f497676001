import { invalidArgument, isRenvoxError, RenvoxError } from 'renvox';
import t from 'tap';

t.test('an error carries its code as name, its details and its cause', async (t) => {
  const cause = new Error('disk full');
  const error = new RenvoxError(
    'InvalidFile',
    'ct.nii.gz: truncated',
    { file: 'ct.nii.gz' },
    { cause },
  );
  t.equal(error.name, 'InvalidFile');
  t.equal(error.code, 'InvalidFile');
  t.equal(error.details.file, 'ct.nii.gz');
  t.equal(error.cause, cause);
  t.ok(error instanceof Error);
});

t.test('isRenvoxError tells kinds apart', async (t) => {
  const error: unknown = new RenvoxError('ShapeMismatch', 'shapes differ');
  t.ok(isRenvoxError(error));
  t.ok(isRenvoxError(error, 'ShapeMismatch'));
  t.notOk(isRenvoxError(error, 'DtypeMismatch'));
  t.notOk(isRenvoxError(new Error('other')));
  t.notOk(isRenvoxError(undefined));
});

t.test('argument errors say what was expected and what came', async (t) => {
  const message = (received: unknown) =>
    invalidArgument('padding', 'an integer >= 0', received).message;
  t.equal(
    message(-1),
    'Expected an integer >= 0 for parameter padding but received -1 of type number',
  );
  t.match(message(null), /received null$/);
  t.match(message([1, 2]), /received \[1, 2\] of type array$/);
  t.match(message(new Float32Array(3)), /received Float32Array of 12 bytes$/);
  t.match(
    message(() => 0),
    /received a function$/,
  );
});
