import { parentPort } from 'node:worker_threads'
import { applyChange, type Change } from '../change.js'
import { decodeState, encodeState } from '../state/codec.js'
import type { SandboxState } from '../state/sandbox-state.js'
import { type Apply, BUSY, changeLocked } from './commit.js'
import { type FromThread, type Outcome, type PlainChange, type ToThread, toPlain } from './disk-protocol.js'
import { longestFlush } from './flush.js'
import { Dir } from './posix/dir.js'

// The thread that waits for a disk, so that the event loop of the program does not. See disk-threads.ts.

const port = parentPort
if (port === null) throw new Error('this module is the body of a worker thread')

const answers = new Map<number, (text: string | null) => void>()

port.on('message', (message: ToThread) => {
  if (message.kind === 'answer') answers.get(message.job)?.(message.text)
  else void run(message).then(reply => port.postMessage(reply))
})

port.postMessage({ kind: 'ready' } satisfies FromThread)

async function run(message: Extract<ToThread, { kind: 'change' }>): Promise<FromThread> {
  const outcome = await change(message)
  return { ...outcome, job: message.job, flush: longestFlush() }
}

async function change(message: Extract<ToThread, { kind: 'change' }>): Promise<Outcome> {
  const { id, path, folderFd, lock, change, options } = message
  const folder = new Dir(id, path, folderFd)
  try {
    const after = await changeLocked({ folder, lock }, change, rules(message), options)
    return after === BUSY ? { kind: 'busy' } : { kind: 'done', text: after && encodeState(after) }
  } catch (error) {
    return { kind: 'failed', error: toPlain(error) }
  }
}

function rules({ job, id, change }: { job: number; id: string; change: PlainChange }): Apply {
  switch (change.kind) {
    case 'update':
      return current => applyElsewhere(job, id, current)
    case 'create':
      return current => applyChange({ kind: 'create', state: decodeState(change.text) }, current, id)
    default:
      return current => applyChange(change satisfies Change, current, id)
  }
}

/** An update is the program's own function: it runs in the program's thread. */
async function applyElsewhere(
  job: number,
  id: string,
  current: SandboxState | undefined,
): Promise<SandboxState | undefined> {
  if (current === undefined) return applyChange({ kind: 'update', update: state => state }, undefined, id)
  const text = await new Promise<string | null>(resolve => {
    answers.set(job, resolve)
    port?.postMessage({ kind: 'ask', job, text: encodeState(current) } satisfies FromThread)
  })
  answers.delete(job)
  if (text === null) throw new Error('the update threw')
  return decodeState(text)
}
