import * as z from 'zod'
import { StateStoreError } from '../errors.js'
import { STATES } from '../state/machine.js'
import type { SandboxState } from '../state/sandbox-state.js'
import { show } from '../state/show.js'

const cgroupPath = z.string().default('')

/**
 * The part of Kata Containers' `persist.json` (`persistapi.SandboxState`, 1.11 and later, and the experimental "newstore" of
 * 1.7 to 1.10) for which the state of 1.10 has a field. The keys are Go's field names. 2.3 renamed `CgroupPath`. Before
 * 1.11 `BlockIndex` is the number of the next block device; since then `BlockIndexMap` has those that are taken, as keys.
 */
const Persist = z.object({
  State: z.enum(STATES),
  GuestMemoryBlockSizeMB: z.uint32().default(0),
  GuestMemoryHotplugProbe: z.boolean().default(false),
  CgroupPath: cgroupPath,
  SandboxCgroupPath: cgroupPath,
  HypervisorState: z
    .object({
      BlockIndex: z.int().optional(),
      BlockIndexMap: z.record(z.string().regex(/^\d{1,15}$/), z.unknown()).nullish(),
    })
    .default({}),
})

/**
 * The state in a `persist.json`, without the devices, agents and networks.
 * @throws StateStoreError `CORRUPT_STATE` when the text is no JSON object, `INVALID_STATE` when a field is missing or wrong
 */
export function stateFromPersist(text: string): SandboxState {
  const { data, error } = Persist.safeParse(parse(text), { reportInput: true })
  if (data === undefined) throw invalid(error)
  const { BlockIndex, BlockIndexMap } = data.HypervisorState
  return {
    state: data.State,
    blockIndex: BlockIndex ?? nextAfter(Object.keys(BlockIndexMap ?? {})),
    guestMemoryBlockSize: data.GuestMemoryBlockSizeMB,
    guestMemoryHotplugProbe: data.GuestMemoryHotplugProbe,
    cgroupPath: data.SandboxCgroupPath || data.CgroupPath,
    persistVersion: 0,
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new StateStoreError('CORRUPT_STATE', 'it is not JSON', { cause })
  }
}

function invalid({ issues: [issue] }: z.ZodError): StateStoreError {
  const field = issue?.path.join('.') ?? ''
  if (field === '') return new StateStoreError('CORRUPT_STATE', 'it is not a JSON object')
  return new StateStoreError('INVALID_STATE', `${field} cannot be ${show(issue?.input)}`)
}

/** The number that the next block device would get: the state keeps one number, above all that are taken. */
function nextAfter(taken: readonly string[]): number {
  return taken.reduce((next, number) => Math.max(next, Number(number) + 1), 0)
}
