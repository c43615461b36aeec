import type { SandboxState } from './sandbox-state.js'

const FIELDS = ['blockIndex', 'guestMemoryBlockSize', 'guestMemoryHotplugProbe', 'cgroupPath'] as const

/** The fields but the state that a change gave another value. */
export function changedFields(before: SandboxState, after: SandboxState): (typeof FIELDS)[number][] {
  return FIELDS.filter(field => before[field] !== after[field])
}
