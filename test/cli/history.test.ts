import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { age, ago, duration, whoWords } from '#src/cli/words.js'
import { HOSTILE, Root, UNPRINTABLE } from './support.js'

const START = Date.parse('2026-01-01T00:00:00.000Z')

describe('a length of time', () => {
  it.each([
    [-1, '0s'],
    [0, '0s'],
    [449, '0.4s'],
    [9_999, '9.9s'],
    [59_999, '59s'],
    [61_000, '1m 1s'],
    [3_600_000, '1h 0m'],
    [90_061_000, '1d 1h'],
  ])('is written in words: %i ms is %s', (ms, words) => {
    expect(duration(ms)).toBe(words)
    if (ms >= 0) expect(ago(new Date(START).toISOString(), START + ms)).toBe(`${words} ago`)
  })

  it.each([
    [-1, '0s'],
    [999, '0s'],
    [59_999, '59s'],
    [61_000, '1m'],
    [3_600_000, '1h'],
    [86_399_999, '23h'],
    [90_061_000, '1d'],
    [400 * 86_400_000, '400d'],
  ])('has one unit in a listing: %i ms is %s', (ms, words) => {
    expect(age(new Date(START).toISOString(), START + ms)).toBe(words)
  })

  it('can lie ahead, as another clock has it', () => {
    expect(ago(new Date(START).toISOString(), START - 61_000)).toBe('in 1m 1s')
  })
})

describe('who', () => {
  it('is a process, with its host when that is another one', () => {
    expect(whoWords({})).toBe('an unknown process')
    expect(whoWords({ pid: 7, command: 'a b', host: hostname() })).toBe('pid 7 (a b)')
    expect(whoWords({ pid: 7, command: '', host: '\u001b' })).toBe('pid 7 on \\u001b')
  })
})

/** One that was created, started, changed and stopped. */
async function lived(): Promise<Root> {
  const root = new Root()
  await root.done('create a --block-index 1')
  await root.done(['transition', 'a', 'running', '--reason', 'first request'])
  await root.done('update a --block-index 2')
  await root.done('transition a stopped')
  return root
}

const TIME = '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ +[\\d.]+s ago'
const BY = `pid ${process.pid} \\(.+\\)`

describe('history', () => {
  it('prints a line for each change', async () => {
    const root = await lived()
    const { status, stdout, stderr } = await root.cli('history a')
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const lines = stdout.split('\n')
    const expected = [
      '^SEQ  TIME +AGO +CHANGE +BY +REASON$',
      `^  1  ${TIME} +created, ready +${BY} +-$`,
      `^  2  ${TIME} +ready -> running +${BY} +first request$`,
      `^  3  ${TIME} +blockIndex +${BY} +-$`,
      `^  4  ${TIME} +running -> stopped +${BY} +-$`,
      '^$',
    ]
    for (const [at, line] of expected.entries()) expect(lines[at]).toMatch(new RegExp(line))
    expect(lines).toHaveLength(expected.length)
  })

  it('says that an update changed no field that it knows', async () => {
    const root = new Root()
    await root.done('create a')
    await root.done('update a --block-index 0')
    expect(await root.done('history a')).toMatch(new RegExp(`^  2  ${TIME} +no known field +${BY} +-$`, 'm'))
  })

  it('prints what is recorded as JSON', async () => {
    const root = await lived()
    const entries = JSON.parse(await root.done('history a --format json'))
    expect(entries).toMatchObject([
      { seq: 1, from: null, to: 'ready', pid: process.pid },
      { seq: 2, from: 'ready', to: 'running', reason: 'first request' },
      { seq: 3, from: 'running', to: 'running', fields: ['blockIndex'] },
      { seq: 4, from: 'running', to: 'stopped' },
    ])
  })

  it('shows where something is not recorded', async () => {
    const root = await lived()
    const path = join(root.path, 'a', 'history.jsonl')
    const lines = readFileSync(path, 'utf8').split('\n')
    writeFileSync(path, lines.filter((_, at) => at !== 1).join('\n'))
    root.put('a', '{"state":"paused"}')
    const stdout = await root.done('history a')
    const table = stdout.split('\n')
    expect(table[1]).toMatch(/ created, ready +pid /)
    expect(table[2]).toMatch(/^ {2}\? {2}- +- +not recorded$/)
    expect(table[3]).toMatch(/^ {2}3 .* blockIndex +pid /)
    expect(table[5]).toMatch(/^ {2}\? {2}- +- +not recorded, now paused$/)
    const colored = await root.done('history a', { terminal: true })
    expect(colored).toContain('\u001b[33mnot recorded\u001b[0m')
  })

  it('shows that the beginning is not kept', async () => {
    const root = await lived()
    const path = join(root.path, 'a', 'history.jsonl')
    writeFileSync(path, readFileSync(path, 'utf8').split('\n').slice(2).join('\n'))
    expect((await root.done('history a')).split('\n')[1]).toMatch(/older changes are not kept$/)
  })

  it('tells of a sandbox whose state cannot be read, and of one without a history', async () => {
    const root = await lived()
    root.put('a', 'nonsense')
    expect(await root.done('history a')).toMatch(/not recorded, now CORRUPT_STATE$/m)
    root.put('b', '{"state":"paused"}')
    expect(await root.cli('history b')).toEqual({ status: 0, stdout: '', stderr: '' })
    expect(await root.cli('history b --format json')).toEqual({ status: 0, stdout: '[]\n', stderr: '' })
    const { stderr } = await root.cli('history b', { terminal: true })
    expect(stderr).toBe('nothing is recorded of b, which is paused\n')
    expect(await root.cli('history c')).toMatchObject({ status: 1, stdout: '' })
  })

  it('prints nothing that a terminal could obey', async () => {
    const root = await lived()
    const path = join(root.path, 'a', 'history.jsonl')
    const last = JSON.parse(readFileSync(path, 'utf8').trim().split('\n').at(-1) ?? '')
    const entry = { ...last, seq: 5, from: 'stopped', to: 'stopped', fields: [HOSTILE] }
    appendFileSync(
      path,
      `${JSON.stringify({ ...entry, host: HOSTILE, command: HOSTILE, reason: HOSTILE })}\n`,
    )
    for (const format of ['table', 'json']) {
      const stdout = await root.done(`history a --format ${format}`)
      expect(stdout).not.toMatch(UNPRINTABLE)
      expect(stdout.match(/\\u001b\[31mred/g)).toHaveLength(4)
    }
  })
})
