import { describe, expect, test } from 'vitest'
import { Image, kindsHere } from './image.js'
import { type Cut, changeAndStop, cutPower, type Scenario } from './scenario.js'

/** With one worker, with two and with three, and on for as long as $POWER_CUT_SECONDS says. */
const ROUNDS = 3
const SECONDS = Number(process.env.POWER_CUT_SECONDS ?? 4)
/** A loss shows in most rounds, not in each: by chance all may be on the disk. */
const ATTEMPTS = 15
const LIMIT = 90_000 + SECONDS * 1_000

const cuts = kindsHere().flatMap(kind => {
  const ways: Cut[] = kind.shutdown ? ['shutdown', 'copy'] : ['copy']
  return ways.map(cut => ({ kind, cut, name: `${kind.name}, by ${cut}` }))
})

if (cuts.length === 0)
  test.skip('the power is cut (skipped: no filesystem can be made here, for the reasons printed above)')

describe.each(cuts)('the power is cut on $name', ({ kind, cut }) => {
  test('every acknowledged change is there, whole, and the store works on', { timeout: LIMIT }, async () => {
    const image = Image.make(kind)
    const end = performance.now() + SECONDS * 1_000
    for (let round = 0; round < ROUNDS || performance.now() < end; round++) {
      const { acknowledged, faults } = await cutPower(image, round, { cut, workers: 1 + (round % 3) })
      expect(faults).toEqual([])
      expect(acknowledged).toBeGreaterThan(10)
    }
    await image.unmount()
  })

  test('in the middle of many changes at once, too', { timeout: LIMIT }, async () => {
    const image = Image.make(kind)
    const end = performance.now() + SECONDS * 1_000
    for (let round = 0; round < ROUNDS || performance.now() < end; round++) {
      const workers = 1 + (round % 2)
      const { acknowledged, faults } = await cutPower(image, round, { cut, workers, atOnce: 16 })
      expect(faults).toEqual([])
      expect(acknowledged).toBeGreaterThan(10)
    }
    await image.unmount()
  })

  /** That the tests above would see a loss: what it looks for is in fact lost. */
  async function firstLoss(scenario: Omit<Scenario, 'cut' | 'workers' | 'rest'>): Promise<string[]> {
    const image = Image.make(kind)
    for (let round = 0; round < ATTEMPTS; round++) {
      const { faults } = await cutPower(image, round, { cut, workers: 1, rest: 5, ...scenario })
      const losses = faults.filter(fault =>
        /acknowledged|not a JSON object|it is empty|is not there/.test(fault),
      )
      if (losses.length > 0) return losses
    }
    return []
  }

  test('without the flush of the file, acknowledged states are empty or torn', {
    timeout: LIMIT,
  }, async () => {
    expect((await firstLoss({ without: ['file'] })).join('\n')).toMatch(
      /state\.json: (not a JSON object|it is empty)/,
    )
  })

  test('without the flush of the sandbox folder, acknowledged changes are undone', {
    timeout: LIMIT,
  }, async () => {
    expect((await firstLoss({ without: ['folder'] })).join('\n')).toMatch(/acknowledged/)
  })

  test('without the flushes of many at once, acknowledged changes are lost', {
    timeout: LIMIT,
  }, async () => {
    expect(await firstLoss({ without: ['aio'], atOnce: 16 })).not.toEqual([])
  })

  test('a store that is not durable loses what it acknowledged', { timeout: LIMIT }, async () => {
    expect(await firstLoss({ durable: false })).not.toEqual([])
  })

  if (cut === 'copy') return
  test.each(['delete', 'transition'] as const)(
    'a %s is not acknowledged when the filesystem stops before the folder is flushed',
    async change => {
      expect(await changeAndStop(Image.make(kind), change)).toBe('OUTCOME_UNKNOWN')
    },
  )
})
