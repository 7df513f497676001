/**
 * Tail probabilities of the distributions that tests need, in double precision: relative error below 1e-10 where the tests look (scipy's
 * figures are the reference).
 */

/** Coefficients of Lanczos' series, g = 607/128, n = 15 (Godfrey 2001): relative error about 1e-15. */
const LANCZOS = [
  0.9999999999999971, 57.15623566586292, -59.59796035547549, 14.136097974741746,
  -0.4919138160976202, 3.399464998481189e-5, 4.652362892704858e-5, -9.837447530487956e-5,
  0.0001580887032249125, -0.00021026444172410488, 0.00021743961811521265, -0.0001643181065367639,
  8.441822398385275e-5, -2.6190838401581408e-5, 3.6899182659531625e-6,
];

const ROOT_TWO_PI = Math.sqrt(2 * Math.PI);

/** ln of the gamma function, x > 0. */
export function logGamma(x: number): number {
  let sum = LANCZOS[0] as number;
  for (let i = 1; i < LANCZOS.length; i++) sum += (LANCZOS[i] as number) / (x + i);
  const t = x + 607 / 128 + 0.5;
  return (x + 0.5) * Math.log(t) - t + Math.log((ROOT_TWO_PI * sum) / x);
}

const TINY = 1e-300;
const EPSILON = 2 ** -53;

/** A continued fraction b0 + a1 / (b1 + a2 / (b2 + ...)) by the modified Lentz method; `term(i)` gives [a_i, b_i], i >= 1. */
function continuedFraction(b0: number, term: (i: number) => [number, number]): number {
  let f = b0 || TINY;
  let c = f;
  let d = 0;
  for (let i = 1; i < 20_000; i++) {
    const [a, b] = term(i);
    d = b + a * d || TINY;
    c = b + a / c || TINY;
    d = 1 / d;
    const delta = c * d;
    f *= delta;
    if (Math.abs(delta - 1) < EPSILON) break;
  }
  return f;
}

/** Regularised incomplete beta function I_x(a, b), a, b > 0 (DLMF 8.17.22). */
function incompleteBeta(a: number, b: number, x: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(b, a, 1 - x);
  const front = Math.exp(
    logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x),
  );
  const fraction = continuedFraction(0, (i) => {
    if (i === 1) return [1, 1];
    const m = (i - 1) >> 1;
    const odd = (i - 1) % 2 === 1;
    const a1 = odd
      ? (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))
      : (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    return [a1, 1];
  });
  return (front * fraction) / a;
}

/** Upper regularised incomplete gamma function Q(a, x), a > 0, x >= 0 (DLMF 8.11.4, 8.9.2). */
function incompleteGammaUpper(a: number, x: number): number {
  if (x <= 0) return 1;
  const front = Math.exp(a * Math.log(x) - x - logGamma(a));
  if (x < a + 1) {
    let term = 1 / a;
    let sum = term;
    for (let k = 1; term > sum * EPSILON; k++) {
      term *= x / (a + k);
      sum += term;
    }
    return 1 - front * sum;
  }
  const fraction = continuedFraction(x + 1 - a, (i) => [-i * (i - a), x + 2 * i + 1 - a]);
  return front / fraction;
}

/** P(Z > z) of the standard normal distribution. */
export function normalUpper(z: number): number {
  const tail = 0.5 * incompleteGammaUpper(0.5, 0.5 * z * z);
  return z >= 0 ? tail : 1 - tail;
}

/** P(X > x) of chi-square with `degrees` degrees of freedom. */
export function chiSquareUpper(x: number, degrees: number): number {
  return incompleteGammaUpper(degrees / 2, x / 2);
}

/** P(|T| > |t|) of Student's t with `degrees` degrees of freedom, which need not be an integer. */
export function studentTwoSided(t: number, degrees: number): number {
  if (!Number.isFinite(t)) return Number.isNaN(t) ? Number.NaN : 0;
  return incompleteBeta(degrees / 2, 0.5, degrees / (degrees + t * t));
}

/** The z with P(Z < z) = p, 0 < p < 1, by bisection and Newton steps on {@link normalUpper}. */
export function normalQuantile(p: number): number {
  if (!(p > 0 && p < 1)) return p === 0 ? -Infinity : p === 1 ? Infinity : Number.NaN;
  if (p < 0.5) return -upperQuantile(p);
  return upperQuantile(1 - p);
}

/** The z >= 0 with P(Z > z) = q, 0 < q <= 0.5. */
function upperQuantile(q: number): number {
  // Abramowitz & Stegun 26.2.23, off by less than 4.5e-4; Newton doubles the digits each time.
  const t = Math.sqrt(-2 * Math.log(q));
  let z =
    t -
    (2.515517 + t * (0.802853 + t * 0.010328)) /
      (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
  for (let i = 0; i < 4; i++) {
    const density = Math.exp(-0.5 * z * z) / ROOT_TWO_PI;
    z += (normalUpper(z) - q) / density;
  }
  return z;
}
