import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test } from 'vitest'
import { effort } from '../support/effort.js'
import { Acknowledged } from './acknowledged.js'
import { Image, kindsHere } from './image.js'
import { inspect } from './inspect.js'
import { stopFilesystem } from './programs/stop-filesystem.mjs'
import { program, rootOf, Workers } from './workers.js'

const ROUNDS = effort(1, 3, 20)
const LIMIT = ROUNDS * 60_000

const kinds = kindsHere().filter(({ shutdown }) => shutdown)
if (kinds.length === 0)
  test.skip('a filesystem stops (skipped: none can be stopped here, for the reasons printed above)')

describe.each(effort(kinds.slice(0, 1), kinds))('when an $name stops, as after an I/O error', kind => {
  test.each([
    { changes: 'changes', workers: [1, 1] },
    { changes: 'many changes at once', workers: [16] },
  ])(
    'in the midst of $changes, none is acknowledged that is lost',
    { timeout: LIMIT },
    async ({ workers }) => {
      for (let round = 0; round < ROUNDS; round++) {
        const image = await Image.make(kind)
        await image.mount()
        const work = new Workers(image, { workers })
        await work.grow(5_000)
        stopFilesystem(image.outside(image.mountPoint))
        await work.end()
        await image.unmount()
        await image.mount()
        const acknowledged = new Acknowledged(work.log)
        expect(unexpected(acknowledged)).toEqual([])
        expect(await inspect(image.outside(rootOf(image)), acknowledged)).toEqual([])
        expect(acknowledged.count).toBeGreaterThan(10)
        await image.unmount()
      }
    },
  )

  test.each([
    ['delete', 'OUTCOME_UNKNOWN'],
    ['transition', 'OUTCOME_UNKNOWN'],
    ['own', 'IO_ERROR'],
  ] as const)(
    'before the folder is flushed, %s is not acknowledged, but fails with %s',
    async (change, code) => {
      const image = await Image.make(kind)
      await image.mount()
      expect(await changeAndStop(image, change)).toBe(code)
      await image.unmount()
    },
  )
})

/** Makes one change, and stops the filesystem right before the flush of the sandbox's folder. */
async function changeAndStop(image: Image, change: 'delete' | 'transition' | 'own'): Promise<string> {
  const NODE_OPTIONS = `--import=${program('stop-at-flush')}`
  const STOP = join(image.folder, 'stop')
  const env = { ...process.env, NODE_OPTIONS, STOP, MOUNT_POINT: image.mountPoint }
  const command = [process.execPath, program('last-change'), join(image.mountPoint, 'sandboxes'), change]
  const [enter, ...args] = [...image.inside, ...command]
  const child = spawn(enter, args, { stdio: ['ignore', 'pipe', 'inherit'], env })
  onTestFinished(() => void child.kill('SIGKILL'))
  return (await text(child.stdout)).trim()
}

/** A worker may fail because its filesystem is gone, and in no other way. */
function unexpected({ failures }: Acknowledged): string[] {
  return failures
    .filter(({ code, message }) => code !== 'OUTCOME_UNKNOWN' && !/EIO|EROFS/.test(message))
    .map(({ code, message }) => `a worker failed with ${code}: ${message}`)
}
