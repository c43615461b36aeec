import { expect, it } from 'vitest'
import { changedFields } from '#src/state/fields.js'
import type { SandboxState } from '#src/state/sandbox-state.js'
import { newState } from '#src/state/validate.js'

const BEFORE = newState()

it('reports each field of a file that changed, and no other', () => {
  const changes = {
    blockIndex: 1,
    guestMemoryBlockSize: 128,
    guestMemoryHotplugProbe: true,
    cgroupPath: '/x',
  } satisfies Omit<SandboxState, 'state' | 'persistVersion'>
  for (const [field, value] of Object.entries(changes)) {
    expect(changedFields(BEFORE, { ...BEFORE, [field]: value })).toEqual([field])
  }
  expect(changedFields(BEFORE, { ...BEFORE, ...changes })).toEqual(Object.keys(changes))
})

it('does not report the state, which a history shows in its own way, and what is in memory only', () => {
  expect(changedFields(BEFORE, { ...BEFORE, state: 'running', persistVersion: 1 })).toEqual([])
})
