import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/root.js'
import { ioEvent, noStrace } from '../support/strace.js'

if (noStrace !== undefined) console.warn(`the system calls of flushAll are not traced: ${noStrace}`)

const PROGRAM = fileURLToPath(new URL('../programs/flush-all.mjs', import.meta.url))
const AIO = 'io_setup,io_submit,io_getevents'

/** Flushes a number of files at once, under strace(1). */
function flushAll(count: number, { bad = [], inject = [] }: { bad?: number[]; inject?: string[] } = {}) {
  const folder = temporaryFolder()
  const log = join(folder, 'trace')
  const { stdout, stderr } = spawnSync(
    'strace',
    [
      ...['-f', '-y', '-o', log, '-e', `trace=${AIO},fsync`],
      ...inject.flatMap(rule => ['-e', `inject=${rule}`]),
      ...[process.execPath, PROGRAM, folder, String(count), ...bad.map(String)],
    ],
    { encoding: 'utf8' },
  )
  expect(stderr).toBe('')
  // At its end Node flushes its output, too.
  const lines = readFileSync(log, 'utf8').matchAll(/^\d+ +(\w+)\((?!\d<)/gm)
  const calls = Array.from(lines, ([, name]) => name)
  return { codes: JSON.parse(stdout) as (string | null)[], calls }
}

/** What a number of flushes report: that they succeeded, except for these. */
function codes(count: number, failures: Readonly<Record<number, string>> = {}): (string | null)[] {
  return Array.from({ length: count }, (_, i) => failures[i] ?? null)
}

describe.skipIf(noStrace !== undefined)('flushAll', () => {
  test('flushes many with one submission, and no fsync', () => {
    const { codes: each, calls } = flushAll(64)
    expect(each).toEqual(codes(64))
    expect(calls).toEqual(['io_setup', 'io_submit', 'io_getevents'])
  })

  test('flushes one with fsync', () => {
    expect(flushAll(1)).toEqual({ codes: [null], calls: ['fsync'] })
  })

  test('takes more than one submission holds', () => {
    const { codes: each, calls } = flushAll(300, { bad: [0, 130, 299] })
    expect(each).toEqual(codes(300, { 0: 'EBADF', 130: 'EBADF', 299: 'EBADF' }))
    expect(calls.filter(call => call === 'fsync').length).toBeLessThan(6)
  })

  test('reports the one that the kernel refuses, and flushes the others', () => {
    for (const bad of [0, 1, 2])
      expect(flushAll(3, { bad: [bad] }).codes).toEqual(codes(3, { [bad]: 'EBADF' }))
  })

  test.skipIf(process.arch !== 'x64')('gives each its own result, in whatever order they come', () => {
    const events = [ioEvent(2, 0), ioEvent(0, -28), ioEvent(1, -5)].join('')
    const inject = [`io_getevents:poke_exit=@arg4=${events}`]
    expect(flushAll(3, { inject }).codes).toEqual(['ENOSPC', 'EIO', null])
  })

  test('goes on waiting after a signal', () => {
    const { codes: each, calls } = flushAll(3, { inject: ['io_getevents:error=EINTR:when=1..2'] })
    expect(each).toEqual(codes(3))
    expect(calls.filter(call => call === 'io_getevents')).toHaveLength(3)
  })

  test('reports each flush of a submission as failed when its results do not arrive, and keeps later ones apart', () => {
    const { codes: each, calls } = flushAll(200, { inject: ['io_getevents:error=EFAULT:when=1'] })
    expect(each).toEqual([...new Array(128).fill('EFAULT'), ...new Array(72).fill(null)])
    expect(calls.filter(call => call === 'io_setup')).toHaveLength(2)
  })

  test.each([
    'io_setup:error=ENOSYS',
    'io_setup:error=EPERM',
    'io_setup:error=EAGAIN',
    'io_submit:error=ENOSYS',
    'io_submit:error=EPERM',
    'io_submit:error=EAGAIN',
    'io_submit:error=EINVAL',
  ])('calls fsync for each where AIO is refused: %s', rule => {
    const { codes: each, calls } = flushAll(3, { bad: [1], inject: [rule] })
    expect(each).toEqual(codes(3, { 1: 'EBADF' }))
    expect(calls.filter(call => call === 'fsync')).toHaveLength(3)
    expect(calls).not.toContain('io_getevents')
  })

  test('reports an fsync that fails where AIO is refused', () => {
    const inject = ['io_setup:error=ENOSYS', 'fsync:error=EIO:when=2']
    expect(flushAll(3, { inject }).codes).toEqual([null, 'EIO', null])
  })
})
