/** Indicators of the closing prices, for the picture only. A value is NaN where there are not enough bars yet. */

/** Simple moving average. */
export function sma(values: number[], length: number): number[] {
  let sum = 0;
  return values.map((value, index) => {
    sum += value - (index >= length ? (values[index - length] as number) : 0);
    return index < length - 1 ? Number.NaN : sum / length;
  });
}

/** Exponential moving average; its first value is the simple average of the first `length`. */
export function ema(values: number[], length: number): number[] {
  const weight = 2 / (length + 1);
  let last = Number.NaN;
  let sum = 0;
  let seen = 0;
  return values.map((value) => {
    if (Number.isNaN(value)) return Number.NaN;
    seen++;
    if (seen <= length) {
      sum += value;
      last = seen === length ? sum / length : Number.NaN;
    } else last += (value - last) * weight;
    return last;
  });
}

/** MACD of 12 and 26, its signal of 9, and what is between them. */
export function macd(values: number[]): { line: number[]; signal: number[]; histogram: number[] } {
  const [fast, slow] = [ema(values, 12), ema(values, 26)];
  const line = fast.map((value, index) => value - (slow[index] as number));
  const signal = ema(line, 9);
  return { line, signal, histogram: line.map((value, index) => value - (signal[index] as number)) };
}

/** Relative strength index by Wilder's smoothing. */
export function rsi(values: number[], length = 14): number[] {
  let gain = 0;
  let loss = 0;
  return values.map((value, index) => {
    if (index === 0) return Number.NaN;
    const change = value - (values[index - 1] as number);
    if (index <= length) {
      gain += Math.max(0, change) / length;
      loss += Math.max(0, -change) / length;
      if (index < length) return Number.NaN;
    } else {
      gain = (gain * (length - 1) + Math.max(0, change)) / length;
      loss = (loss * (length - 1) + Math.max(0, -change)) / length;
    }
    return loss === 0 ? (gain === 0 ? 50 : 100) : 100 - 100 / (1 + gain / loss);
  });
}
