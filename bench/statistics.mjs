/** The median of some numbers. */
export function median(numbers) {
  return quantile(numbers, 0.5)
}

/** The value that a share of the numbers does not exceed, interpolated between neighbours. */
export function quantile(numbers, share) {
  const sorted = Float64Array.from(numbers).sort()
  if (sorted.length === 0) return Number.NaN
  const place = (sorted.length - 1) * share
  const below = sorted[Math.floor(place)]
  return below + (sorted[Math.ceil(place)] - below) * (place - Math.floor(place))
}

/** The median of the ratios within each round: whatever slows down a round slows down both sides of its ratio. */
export function ratioOf(rounds, base) {
  return median(rounds.map((value, round) => value / base[round]))
}

/** To four digits: the rest is noise. */
export function rounded(number) {
  return Number(number.toPrecision(4))
}
