import { openStore } from 'sandbox-state'
import { expect, onTestFinished, test, vi } from 'vitest'
import { temporaryFolder } from '../support/root.js'

test('the time of a new state is that of the system clock, though the machine has slept since the start', async () => {
  // The clock of performance.now() stands still meanwhile.
  const start = vi
    .spyOn(performance, 'timeOrigin', 'get')
    .mockReturnValue(performance.timeOrigin - 8 * 3_600_000)
  onTestFinished(() => start.mockRestore())
  const store = await openStore(temporaryFolder())
  onTestFinished(() => store.close())
  const before = Date.now()
  await store.create('a')
  const { changedAt } = await store.inspect('a')
  expect(Date.parse(changedAt)).toBeGreaterThanOrEqual(before)
  expect(Date.parse(changedAt)).toBeLessThanOrEqual(Date.now())
})
