import { filesystems } from './root.js'

/**
 * How far the tests go. `npm test` proves every promise within two minutes. `npm run test:long` takes the test files
 * that import this module further: more kills, more power cuts, every case. CI runs both. `npm run soak` takes an hour.
 */
const levels = ['short', 'long', 'soak'] as const

const level = levels.indexOf((process.env.SANDBOX_STATE_TESTS ?? 'short') as (typeof levels)[number])
if (level < 0) throw new Error(`SANDBOX_STATE_TESTS must be one of ${levels.join(', ')}`)

/** For `describe.runIf(long)`: what `npm test` leaves to the long run. */
export const long = level >= 1

/** The value for the run at hand, such as a number of kills. */
export const effort = <T>(short: T, long: T, soak = long): T => [short, long, soak][level] as T

/** The filesystems that most tests run on: in the short run the first one. */
export const places = effort(filesystems.slice(0, 1), filesystems)
