import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import lockfile from 'proper-lockfile'
import { checkTransition } from 'sandbox-state'
import writeFileAtomic from 'write-file-atomic'
import * as z from 'zod'
import { exampleState } from './floor.mjs'

export const about =
  'the same packages, used as their readmes show: async proper-lockfile, write-file-atomic, JSON.parse and a zod ' +
  'schema. It retries a taken lock every 5 to 100 ms, without a limit. No fsync of the folder, no history'

export const version = () => 'proper-lockfile, write-file-atomic, zod'

const Schema = z.object({
  state: z.enum(['ready', 'running', 'paused', 'stopped']),
  blockIndex: z.int(),
  guestMemoryBlockSize: z.int().nonnegative(),
  guestMemoryHotplugProbe: z.boolean(),
  cgroupPath: z.string().default(''),
})

/** By default the package never retries, and with retries it waits a second first, which nobody would keep. */
const LOCK = { realpath: false, retries: { forever: true, minTimeout: 5, maxTimeout: 100, randomize: true } }

export function open(root) {
  return {
    async create(id) {
      await mkdir(join(root, id))
      const release = await lockfile.lock(fileOf(id), LOCK)
      try {
        await write(id, exampleState('ready'))
      } finally {
        await release()
      }
    },
    transition: (id, from, to) =>
      change(id, state => {
        checkTransition(state.state, from, to)
        return { ...state, state: to }
      }),
    update: change,
    increment: id => change(id, state => ({ ...state, blockIndex: state.blockIndex + 1 })),
    read,
    async delete(id) {
      const release = await lockfile.lock(fileOf(id), LOCK)
      try {
        await rm(join(root, id), { recursive: true })
      } finally {
        await release()
      }
    },
    close() {},
  }

  async function change(id, next) {
    const release = await lockfile.lock(fileOf(id), LOCK)
    try {
      await write(id, next(await read(id)))
    } finally {
      await release()
    }
  }

  async function read(id) {
    return Schema.parse(JSON.parse(await readFile(fileOf(id), 'utf8')))
  }

  async function write(id, state) {
    await writeFileAtomic(fileOf(id), JSON.stringify(Schema.parse(state)), { mode: 0o600 })
  }

  function fileOf(id) {
    return join(root, id, 'state.json')
  }
}
